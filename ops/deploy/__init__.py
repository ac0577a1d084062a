"""`inv deploy`: the stack of compose/ on Docker Swarm; each module one subject.

production (what `.env` asks for) and release (what was deployed) are data; swarm, stack, objects,
jobs and toolbox speak to the engine; plan decides; rollout acts.
"""
