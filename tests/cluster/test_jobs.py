"""Jobs and a schedule while their services are replaced and killed, and nodes are lost: no job is
lost, one that runs again is told so, and the schedule goes on in one process."""

import time
from collections.abc import Iterator

import pytest
from deployed import FIGURES, Site, one_node, three_nodes
from stacks import docker, eventually

# Each run of a job leaves a row when it begins and one when it ends.
TASKS = """
import time
from django.db import connection
from django_tasks import task

def note(number, attempt, what):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO job_runs VALUES (%s, %s, %s)", [number, attempt, what])

@task(takes_context=True)
def work(context, number, seconds):
    note(number, context.attempt, "begin")
    time.sleep(seconds)
    note(number, context.attempt, "end")
"""
# Each second a row.
SCHEDULE = """
from django.db import connection
from djup_web.schedule import every

@every("1s")
def beat():
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO beats VALUES (clock_timestamp())")
"""
ENQUEUE = "from home.tasks import work; [work.enqueue(n, {seconds}) for n in range({count})]"
LEFT = "select count(*) from djup_jobs_job where state in ('READY', 'LATER', 'RUNNING')"
# Begun as the same attempt twice: the second was not told.
UNTOLD = """select count(*) from (select 1 from job_runs where what = 'begin'
group by number, attempt having count(*) > 1) twice"""
NO_END = """select count(*) from djup_jobs_job j where state <> 'DONE' or not exists
(select 1 from job_runs r where what = 'end' and r.number = (j.args->>0)::int)"""
WORKERS = "select split_part(worker, '/', 1) from djup_jobs_job where state = 'RUNNING'"
WHERE = f"{WORKERS} limit 1"
BEATS = "select count(*) from beats"
SECONDS = "select ceil(extract(epoch from max(at) - min(at))) from beats"
GAP = """select extract(epoch from max(at - before)) from
(select at, lag(at) over (order by at) as before from beats) gaps"""
AGAIN = "select count(*) from job_runs where attempt > 1"
LEASE = 20  # seconds, of djup_web.jobs, after which a job is taken over


@pytest.fixture(scope="module")
def jobs(site: Site) -> Iterator[Site]:
    """The site with a worker on each node, or with two on one."""
    with site.taken_back():
        site.add("project/home/tasks.py", TASKS)
        site.add("project/home/schedule.py", SCHEDULE)
        for name in ("worker", "schedule"):
            site.stack.inv("service.add", name)
        site.commit()
        site.stack.set("WORKER_REPLICAS", str(max(2, len(site.engines.hosts))))
        site.deploy()
        for table in ("job_runs (number int, attempt int, what text)", "beats (at timestamptz)"):
            site.sql(f"create table {table}")
        yield site
        site.sql("drop table job_runs, beats; truncate djup_jobs_job")
    site.deploy()


def enqueue(site: Site, count: int, seconds: float) -> None:
    """Have jobs of so many seconds each, one of which has begun."""
    site.sql("truncate djup_jobs_job, job_runs, beats")
    code = ENQUEUE.format(count=count, seconds=seconds)
    site.inv("deploy.manage", "--", "shell", "--verbosity", "0", "-c", code)
    eventually(lambda: site.sql("select count(*) from job_runs") != "0", 30, "a job has begun")


def assert_taken_over(site: Site, what: str) -> None:
    """What a worker had begun that is lost begins again in another one, soon after its lease."""
    began = time.monotonic()
    eventually(lambda: site.sql(AGAIN) != "0", LEASE + 40, "another worker takes over")
    FIGURES.append(f"{site.name}, {what}: taken over after {time.monotonic() - began:.0f} s")


def assert_all_ran(site: Site) -> None:
    """None is lost, and what ran twice was told so."""
    eventually(lambda: site.sql(LEFT) == "0", 150, "all jobs have ended")
    assert site.sql(UNTOLD) == "0" and site.sql(NO_END) == "0"
    assert site.sql("select max(attempt) from job_runs") == "2"


def assert_the_schedule_went_on(site: Site, what: str) -> None:
    """Once for each second at most, and again after whatever happened."""
    beats = int(site.sql(BEATS))
    eventually(lambda: int(site.sql(BEATS)) > beats, 90, "the schedule runs")
    assert int(site.sql(BEATS)) <= int(site.sql(SECONDS)) + 2
    gap = float(site.sql(GAP))
    FIGURES.append(f"{site.name}, {what}: nothing scheduled ran for {gap:.1f} s")


def kill_a_worker(site: Site) -> None:
    """The container of one that is in the midst of a job."""
    eventually(lambda: site.sql(WHERE) != "", 30, "a job runs")
    name = site.sql(WHERE)
    for host, containers in site.containers("worker").items():
        for found in containers:
            if found.startswith(name):
                docker("--host", host, "kill", "--signal", "KILL", found)


@one_node
def test_a_deploy_and_a_kill_in_the_midst(jobs: Site) -> None:
    enqueue(jobs, 400, 4)
    jobs.show("While jobs run")
    jobs.deploy()
    # The old workers have ended what they had begun: nothing began twice.
    assert jobs.sql(AGAIN) == "0" and jobs.sql(LEFT) != "0"
    assert_the_schedule_went_on(jobs, "a deploy")
    kill_a_worker(jobs)
    jobs.sql("delete from djup_jobs_job where state = 'READY'")  # more than the deploy needed
    assert_taken_over(jobs, "a worker is killed")
    assert_all_ran(jobs)


@three_nodes
@pytest.mark.parametrize("how", ["kill", "cut"])
def test_the_node_of_a_worker_is_lost(jobs: Site, how: str) -> None:
    """Another worker takes over after the lease; one that was cut off has ended by itself."""
    (database,) = jobs.cluster.labelled(1, f"db.{jobs.name}")
    other = to_lose(jobs, database)
    jobs.cluster.lead_elsewhere(other)
    enqueue(jobs, 12, 8)
    eventually(lambda: runs_on(jobs, other), 30, "a job runs on the node that is lost")
    with jobs.asked_from(database):
        jobs.cluster.act(how, str(other))
        try:
            assert_taken_over(jobs, f"a worker's node, {how}")
            assert_the_schedule_went_on(jobs, f"its node, {how}")
        finally:
            jobs.cluster.act("start" if how == "kill" else "mend", str(other))
            jobs.cluster.wait_until_whole(database)
    assert_all_ran(jobs)


def runs_on(site: Site, number: int) -> bool:
    """Whether a worker of that node is in the midst of a job."""
    containers = site.containers("worker")[site.cluster.socket(number)]
    return any(each.startswith(name) for each in containers for name in site.sql(WORKERS).split())


def to_lose(site: Site, database: int) -> int:
    """The number of a node besides the database's: one with a worker, at best no leader of the
    managers, and with the schedule."""
    leader, scheduled = f"node{site.cluster.leader(1)}", site.tasks("schedule").values()
    workers = {*site.tasks("worker").values()} - {f"node{database}"}
    return int(min(workers, key=lambda node: (node == leader, node not in scheduled))[4:])
