"""One public port for gRPC, gRPC-web, REST and web pages, routed to the running processes.

Envoy carries the traffic; the registry process, which is this folder, tells it where to::

    service, registry        who runs where: registrations, heartbeats, leases
    service_contracts        the services, methods and REST paths, read from proto/
    envoy_clusters           which processes there are
    envoy_routes             which calls go to them
    envoy_listeners          the filters that a call passes
    envoy_errors             what Envoy itself answers
    envoy_configuration      all of this as files, which Envoy follows while it runs
    unrouted_calls           what a caller gets when no process serves a call
    web                      Studio's files and the API's document
    openapi, openapi_examples
                             that document, and the examples in it
"""
