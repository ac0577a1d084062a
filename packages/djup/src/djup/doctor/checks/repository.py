"""The git repository of this checkout: whether all that its commit names is here."""

from djup.deploy import source
from djup.doctor.finding import Finding
from djup.host import git
from djup.stack.stack import Stack

SUBJECT = "repository"


def check(stack: Stack) -> list[Finding]:
    """What is not here of the commit; a project without git, or a commit, is told of and fine."""
    head = git.ask("rev-parse", "--short", "--verify", "HEAD")
    if head.code in git.MISSING:
        return [Finding(SUBJECT, "git is not installed; inv deploy requires it", known=False)]
    if problem := git.refusal(head):
        return [Finding(SUBJECT, "git refuses to read it", problem)]
    if head.code:
        return [Finding(SUBJECT, "no commit yet", known=False)]
    commit = f"commit {head.out.strip()}"
    return [Finding(SUBJECT, f"{commit} is incomplete", lack) for lack in source.lacks()] or [
        Finding(SUBJECT, f"{commit} is complete")
    ]
