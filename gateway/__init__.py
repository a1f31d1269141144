"""One public port for gRPC, gRPC-web, REST and web pages, routed to the running processes.

Envoy carries the traffic; the registry process, which is this folder, tells it where to::

    service, registry     who runs where: registrations, heartbeats, leases
    contracts             the services, methods and REST paths, read from proto/
    clusters, routes      which processes there are, and which calls go to them
    listener, answers     the filters that a call passes, and what Envoy itself answers
    configuration         all of this as files, which Envoy follows while it runs
    unrouted              what a caller hears when nobody is there
    web, openapi, docs    Studio's files and the API's documents
"""
