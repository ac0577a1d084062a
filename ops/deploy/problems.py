"""The problems of deploying; docs/problems.md has a section for each, as for ops/problems.py."""

from collections.abc import Sequence

from ops import docker
from ops.console import few
from ops.problems import Problem
from ops.sessions import end_session

AGAIN = "then type the same command again"
KILLED = "exit (137)"  # by the kernel


def target_missing() -> Problem:
    """It is not said where to deploy to"""
    return Problem(
        "DEP01",
        "DEPLOY_TO is empty in .env, and there is no --context: where to deploy to is not said.",
        "set DEPLOY_TO in .env (a Docker context, or ssh://user@server), or try it here: "
        "inv deploy --local",
    )


def domain_missing() -> Problem:
    """It is not said under which name the site is served"""
    return Problem(
        "DEP02",
        "DOMAIN is empty in .env: the proxy does not know for which name it answers.",
        "set DOMAIN in .env, such as DOMAIN=shop.example.org, then type: inv deploy",
    )


def no_swarm(where: str) -> Problem:
    """The engine is in no Swarm"""
    return Problem(
        "DEP03",
        f"the engine ({where}) is in no Swarm.",
        "the same command with --yes (makes it a Swarm of one node), or join it to yours: "
        "docker swarm join",
    )


def not_a_manager(where: str, state: str) -> Problem:
    """The node is no manager of its Swarm"""
    return Problem(
        "DEP04",
        f"the engine ({where}) does not manage its Swarm (its state is {state}).",
        "name a manager in DEPLOY_TO or by --context; if most managers are gone, start them again.",
    )


def tree_dirty(changes: Sequence[str]) -> Problem:
    """There are changes that are in no commit"""
    return Problem(
        "DEP05",
        f"{few(changes)}: in no commit, so nobody could tell later what was deployed.",
        "git commit, then type: inv deploy (or deploy it as it is: inv deploy --dirty)",
    )


def no_commit(reason: Sequence[str]) -> Problem:
    """There is no commit to deploy"""
    why = "".join(reason) or "git has no commit here"
    return Problem(
        "DEP06",
        f"the image is named by the commit, and there is none: {why}",
        "git init && git add . && git commit -m 'First', then type: inv deploy",
    )


def git_missing() -> Problem:
    """The command git is not installed"""
    return Problem(
        "DEP32",
        "the command git is not installed, and what is deployed is a commit.",
        "install it (on Debian or Ubuntu: sudo apt-get install git), then type: inv deploy",
    )


def submodules_absent(paths: Sequence[str]) -> Problem:
    """A git submodule is not checked out"""
    return Problem(
        "DEP33",
        f"the git submodule {few(paths)} is not here in the version that the commit names: its "
        "files would be missing in the image.",
        "git submodule update --init --recursive, then type: inv deploy (or deploy it without "
        "them: inv deploy --dirty)",
    )


def pointers_alone(paths: Sequence[str], has_lfs: bool) -> Problem:
    """Files of Git LFS are not fetched"""
    fetch, why = "git lfs install && git lfs pull", "git-lfs is not installed, and git calls it."
    if not has_lfs:
        install = "install git-lfs (on Debian or Ubuntu: sudo apt-get install git-lfs), then"
        return Problem("DEP34", f"{few(paths)}: {why}", f"{install} {fetch}, {AGAIN}")
    return Problem(
        "DEP34",
        f"{few(paths)}: Git LFS has not fetched the content, and the image would get the pointer "
        "in its place.",
        f"{fetch}, then type: inv deploy (or deploy it as it is: inv deploy --dirty)",
    )


def content_too_large(what: str, size: int, limit: int) -> Problem:
    """A value is larger than Swarm takes"""
    return Problem(
        "DEP35",
        f"{what} has {size:,} bytes, and Swarm takes fewer than {limit:,}. Nothing was changed.",
        "keep what is large in a file of the project, or where the code can fetch it, and leave "
        f"its address in .env, {AGAIN}.",
    )


def registry_missing(nodes: int) -> Problem:
    """Several nodes, and no registry to get the image from"""
    return Problem(
        "DEP07",
        f"the Swarm has {nodes} nodes, and without a REGISTRY only one of them has the image.",
        "set REGISTRY in .env, such as REGISTRY=registry.example.org/shop, then type: inv deploy",
    )


def other_repository(stack: str) -> Problem:
    """The stack of this name belongs to another project"""
    return Problem(
        "DEP08",
        f"the stack {stack} there was deployed from another repository.",
        "give this one another name: STACK=… in .env, then type: inv deploy",
    )


def other_stack(stack: str, services: Sequence[str]) -> Problem:
    """The stack of this name has services that were not deployed by this toolkit"""
    return Problem(
        "DEP30",
        f"{few(services)} of the stack {stack} there were not deployed by inv deploy, which leaves "
        "them alone.",
        "give this one another name: STACK=… in .env, then type: inv deploy",
    )


def services_unlabelled(services: Sequence[str]) -> Problem:
    """A service of compose/prod.yaml does not say which release it is of"""
    return Problem(
        "DEP31",
        f"{few(services)} in compose/ lacks the label deploy.release, by which inv deploy knows "
        "its services. Nothing that runs was changed.",
        "write  labels: *labels  under deploy: of that service, commit, then type: inv deploy",
    )


def deploy_runs(stack: str, by: str, lock: str) -> Problem:
    """Another deploy of this stack runs"""
    return Problem(
        "DEP09",
        f"another deploy of {stack} runs: {by}.",
        f"wait for it; if it was killed: {docker.as_typed(f'config rm {lock}')}, {AGAIN}",
    )


def image_not_built(step: str, log: str) -> Problem:
    """The production image could not be built"""
    return Problem(
        "DEP10",
        "the production image was not built. Nothing was changed.",
        "correct what it names (the project, the Dockerfile or requirements/), commit, then type: "
        "inv deploy",
        step,
        log,
    )


def image_not_pushed(image: str) -> Problem:
    """The registry does not take the image"""
    return Problem(
        "DEP11",
        f"the registry did not take {image}. Nothing was changed.",
        "docker login, or correct REGISTRY in .env, then type: inv deploy",
    )


def image_not_fetched(image: str, error: str) -> Problem:
    """A node cannot get an image"""
    return Problem(
        "DEP12",
        f"the image {image} cannot be had ({error}). Nothing was changed.",
        "correct its name in .env, or the node's access to its registry, then type: inv deploy",
    )


def interrupts(reasons: Sequence[str], task: str) -> Problem:
    """The deploy would interrupt the service"""
    return Problem(
        "DEP13",
        f"this deploy would interrupt the service: {'; '.join(reasons)}. Nothing that runs was "
        "changed.",
        f"in a quiet hour: {task} --allow-downtime; or do without (docs/production.md#migrations)",
    )


def migration_failed(lines: str, error: str, mend: str = "") -> Problem:
    """A migration failed in production"""
    why = f" ({error})" if error else ""
    return Problem(
        "DEP14",
        f"the migrations failed{why}.",
        mend or "correct the migration, commit, then type: inv deploy",
        lines,
    )


def migration_locked(sentence: str, pids: Sequence[str]) -> Problem:
    """A migration waits for a lock that another session holds, in production"""
    return Problem("DEP38", sentence, f"{end_session(pids, 'inv deploy.psql')}, {AGAIN}")


def rollout_failed(service: str, error: str, lines: str) -> Problem:
    """The new version does not get ready"""
    why = f": {error}" if error else ""
    if KILLED in error:
        why += ", as one ends that needs more memory than it may have (WEB_MEMORY of the web)"
    return Problem(
        "DEP15",
        f"{service} did not get ready{why}.",
        "correct what it says (the code, and commit; or .env), then type: inv deploy",
        lines,
        f"inv deploy.logs --service {service.rpartition('_')[2]} --ended",
    )


def not_ready(url: str, answer: str) -> Problem:
    """The site is not ready behind the proxy"""
    return Problem(
        "DEP16",
        f"asked through the proxy, {url}readyz is not ready: {answer}.",
        "see why: inv deploy.logs --service proxy; then type: inv deploy",
    )


def page_fails(path: str, answer: str, lines: str, log: str, first: bool) -> Problem:
    """A page of the new version fails"""
    known = "" if first else ", which the release that serves answers well"
    return Problem(
        "DEP39",
        f"the new version answers {answer} for {path}{known}. Only this check has asked it, and no "
        "visitor.",
        "correct what the log says, commit, then run: inv deploy (all the same: inv deploy "
        "--no-check)",
        lines,
        log,
    )


def page_fails_by_proxy(path: str, answer: str) -> Problem:
    """A page of the new version fails behind the proxy"""
    return Problem(
        "DEP40",
        f"asked through the proxy, {path} answers {answer}; asked directly, the new version "
        "answers well.",
        "correct what differs behind the proxy (compose/caddy/Caddyfile, or what the code does "
        "with its headers), commit, then run: inv deploy (all the same: inv deploy --no-check)",
        "",
        "inv deploy.logs --service web --ended",
    )


def image_gone(number: int, image: str, error: str, again: str) -> Problem:
    """The image of the release to go back to is gone"""
    return Problem(
        "DEP41",
        f"release {number} cannot be started again: its image {image} is gone ({error}). Nothing "
        "was changed.",
        again,
    )


def no_way_back(number: int, image: str, error: str) -> Problem:
    """A deploy that fails could not put back what serves"""
    return Problem(
        "DEP42",
        f"if this deploy failed, release {number} could not be put back: its image {image} is gone "
        f"({error}). Nothing that runs was changed.",
        "in a quiet hour, without that way back: inv deploy --allow-downtime",
    )


def tools_image_gone(image: str, error: str, again: str) -> Problem:
    """The image for the tools is gone"""
    return Problem(
        "DEP45",
        f"the image {image}, in which this would run, is not on the node, and cannot be fetched "
        f"({error}).",
        again,
    )


def address_unsaid(addresses: Sequence[str], command: str) -> Problem:
    """The machine has several addresses, and other nodes are to know one"""
    return Problem(
        "DEP43",
        f"the machine has several addresses ({', '.join(addresses)}), and REGISTRY in .env means "
        "several nodes: which address the others reach it at is not said.",
        f"{command}, with the address that the other nodes reach; {AGAIN}",
    )


def host_hidden(key: str, address: str, network: str, within: str) -> Problem:
    """A host lies within a network of the containers"""
    return Problem(
        "DEP44",
        f"{key} leads to {address}, which is within {within}, the network {network} of the "
        "containers: they look for it there, and cannot reach it.",
        "give the Swarm another range (docs/production.md#ranges-of-addresses)",
    )


def service_short(service: str, fact: str, error: str, lines: str) -> Problem:
    """A deployed service does not run as often as it is to"""
    why = f": {error}" if error else ""
    return Problem(
        "DEP46",
        f"of {service} {fact}{why}.",
        "fix what the log says, then run: inv deploy --local (previous version: inv "
        "deploy.rollback --local)",
        lines,
        f"inv deploy.logs --local --service {service.rpartition('_')[2]} --ended",
    )


def deploy_unfinished(stack: str) -> Problem:
    """A deploy was killed on its way"""
    return Problem(
        "DEP47",
        f"a deploy of {stack} was killed on its way: what serves may be of two versions.",
        "finish it: inv deploy --local; or go back: inv deploy.rollback --local",
    )


def page_down(url: str, answer: str) -> Problem:
    """A page of what is deployed fails"""
    return Problem(
        "DEP48",
        f"{url} answers {answer}.",
        "fix what the log says, commit, then run: inv deploy --local (previous version: inv "
        "deploy.rollback --local)",
        "",
        "inv deploy.logs --local --service web",
    )


def deployed_image_gone(image: str, number: int, again: str) -> Problem:
    """An image of what is deployed, or of the release to go back to, is gone"""
    return Problem(
        "DEP49",
        f"the image {image} of release {number} is gone from this machine (docker image prune, "
        "perhaps): a container of it cannot be started again.",
        again,
    )


def stack_refused(stack: str) -> Problem:
    """Docker does not take the stack"""
    return Problem(
        "DEP17",
        f"docker did not take the stack {stack}; the reason stands above.",
        f"correct what it names, {AGAIN}.",
    )


def nothing_deployed(stack: str, where: str) -> Problem:
    """The stack was not deployed"""
    return Problem(
        "DEP18",
        f"no stack {stack} is deployed there ({where}).",
        "inv deploy (or another --context)",
    )


def nothing_before(stack: str) -> Problem:
    """There is no release to go back to"""
    return Problem(
        "DEP19",
        f"{stack} has no release before the present one.",
        "go back in git, then type: inv deploy",
    )


def schema_is_ahead(number: int, migrations: Sequence[str], task: str) -> Problem:
    """A release cannot run on the database as it is now"""
    return Problem(
        "DEP20",
        f"the database has {few(migrations)}, which the code of release {number} cannot run on.",
        "restore the data as well (docs/production.md#back), or do it all the same, with pages "
        f"that fail: {task} --allow-downtime",
    )


def tools_failed(error: str) -> Problem:
    """The container for the tools does not start"""
    return Problem(
        "DEP21",
        f"no container could be started beside the stack: {error}.",
        f"correct what it names, {AGAIN}.",
    )


def acme_on_several_nodes(nodes: Sequence[str], label: str) -> Problem:
    """Several proxies would ask for certificates of their own"""
    return Problem(
        "DEP22",
        f"the proxy is to run on {few(nodes)}, and TLS=acme answers on one node alone.",
        "take a certificate of your own (TLS=certificate in .env), or one proxy: "
        f"{docker.as_typed(f'node update --label-rm {label} {nodes[-1]}')}, {AGAIN}",
    )


def certificate_missing(key: str, name: str) -> Problem:
    """A certificate, or its key, is no PEM file"""
    return Problem(
        "DEP23",
        f"{key} in .env must name a PEM file, and {f'{name} is none' if name else 'is empty'}.",
        f"correct {key} in .env, then type: inv deploy",
    )


def engine_refused(command: str, reason: str) -> Problem:
    """A docker command of the deploy failed"""
    return Problem("DEP24", f"`{command}` failed: {reason}", f"correct what it names, {AGAIN}.")


def migrations_unreadable(lines: str) -> Problem:
    """The new code cannot say which migrations it has"""
    return Problem(
        "DEP25",
        "the image does not start, or cannot read its migrations.",
        "correct what it says (the code, and commit; or .env), then type: inv deploy",
        lines,
    )


def unasked(stack: str, what: str) -> Problem:
    """What changes or ends production was not confirmed"""
    return Problem(
        "DEP27",
        f"this {what}, but only if you type {stack}. Nothing was changed.",
        "the same command on a terminal, or with --yes",
    )


def several_databases(nodes: Sequence[str], label: str) -> Problem:
    """Several nodes are marked as the database's"""
    return Problem(
        "DEP26",
        f"{few(nodes)} are all labelled as the node of the database, whose volume is on one.",
        "leave it to the one that has the data: "
        f"{docker.as_typed(f'node update --label-rm {label} NODE')}, {AGAIN}",
    )


def migrations_unmade(apps: Sequence[str]) -> Problem:
    """Models have changes that no migration makes"""
    return Problem(
        "DEP28",
        f"models of {few(apps)} have changes that no migration makes. Nothing was changed.",
        "inv makemigrations, commit, then type: inv deploy",
    )


def secrets_missing(stack: str, keys: Sequence[str], by: str) -> Problem:
    """The stack has secrets that this .env lacks"""
    return Problem(
        "DEP29",
        f"{stack} runs with a {' and a '.join(keys)} that this .env lacks. Nothing was changed.",
        f"copy the lines from the .env of who deployed it ({by}), or write new ones, {AGAIN}.",
    )
