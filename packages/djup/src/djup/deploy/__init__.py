"""`inv deploy`: the stack of compose/ on Docker Swarm; each module one subject.

production (what `.env` asks for) and source (the commit, and its image) are data; plan decides;
rollout and transition carry it out; pages and proxy look at what came of it. history keeps what was
deployed, status shows it, operations are the other tasks on it. swarm/ lies below: it speaks to the
engine, and imports none of these.
"""
