"""`inv deploy`: the stack of compose/ on Docker Swarm; each module one subject.

production (what `.env` asks for) and release (what was deployed) are data; plan decides; rollout
and transition carry it out; swarm/ speaks to the engine.
"""
