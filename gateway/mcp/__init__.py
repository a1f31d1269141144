"""The door for models: the public API as tools of the Model Context Protocol.

``tools`` makes one tool of each unary REST operation that changes nothing. A call goes through the
gateway with the caller's own token (``gateway_client``), so that its roles and limits are those of
REST. ``answers`` gives the answer the size and the form that a model can use. ``protocol_server``
speaks the protocol; only it imports the SDK, at the first request.
"""
