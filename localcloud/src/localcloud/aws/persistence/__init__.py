"""State that survives the server: what moto's backends hold, kept in `<root>/state` while they change.

How it works: a request that may change something is carried out; then, before its answer leaves, what it reached is
pickled in parts (an object, a queue's message, the new events of a log, a job, or all the rest of one service in one
region) and the parts that differ from what is kept are written. A client never sees what a SIGKILL could take back.
Reads cost nothing.

    requests    which requests change something; the WSGI middleware
    reached     which backends a request reached, and what the threads of jobs change
    layouts     how the state of a service is cut into parts, so that a change costs what it changed
    codec       objects to bytes and back
    database    the parts in SQLite, the bodies of S3 objects in files
    state       restores, saves, clears

What it does not do: survive a power cut (nothing waits for the disk), keep what another version of moto, localcloud or
Python wrote (it is refused, not deleted), or keep what `layouts.NOT_KEPT` names.

Loading pickled state runs the code that it names. The folder belongs to its user alone (mode 0700): never copy one
from somebody whom you would not let run programs as you.
"""
