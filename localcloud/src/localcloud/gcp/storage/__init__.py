"""Cloud Storage's JSON API on loopback, as google-cloud-storage, gcloud-aio-storage and gcsfs call it.

    api         which request means what
    objects     what can be done with objects that exist
    uploads     new objects
    listing     lists of objects; `globs` has the patterns of matchGlob
    conditions  preconditions
    resources   buckets and objects as the API shows them
    store       what is kept: SQLite, and a file for the bytes of each object
    server      the HTTP server

Why it is written here: both maintained emulators that a Python package brings were run against the same 24 checks with
google-cloud-storage 3.17 (A: gcp-storage-emulator 2026.7.19, B: fake-gcs-server in its wrapper 0.1.1).

    check                                 A                    B                         this one
    create only (ifGenerationMatch=0)     both writes succeed  refused                   refused
    ... by 8 at once                      8 succeed            1 succeeds                1 succeeds
    ... in a resumable upload             ignored              ignored                   refused
    conditions of delete, rewrite, patch  ignored              ignored, ignored, a 400   refused
    objects `a` and `a/b`                 connection is cut    500                       both
    matchGlob                             right                everything matches        right
    pages, startOffset, endOffset         ignored              right                     right
    a generation that is gone             the live one         404                       404
    the last n bytes; gzip transcoding    wrong; wrong         right                     right
    an upload with a wrong MD5            refused              accepted                  refused
    batch                                 right                no multipart answer       right
    a small write among 1,000             19 to 33 ms          7 to 9 ms                 3 to 5 ms
    memory after the checks               in our process       356 MB, one more process  in our process

A rewrites one JSON file of all that it has at each change, in place, so that a kill can cost every object, and serves
one request at a time. A precondition is only worth something when it is checked and the write is made in one
transaction, which nothing in front of either can give. What was left to take from them was the routing.

What it does not do: partial answers (`fields` is ignored: all of them come). Versions, soft delete, holds, retention,
access lists (every bucket has uniform access), keys of the customer's own, notifications, folders as resources, and
the XML API beyond GET, HEAD and PUT of one object are refused by name.
"""
