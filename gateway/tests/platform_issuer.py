"""An issuer of tokens outside the mesh, with a server for its public keys."""

import json
import secrets
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ALGORITHM = "ES256"


class PlatformIssuer:
    """Signs with one key, which it serves on the loopback."""

    def __init__(self) -> None:
        self.issuer = "https://login.example.com/"
        self.audience = "trading"
        self.roles_claim = "groups"
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        content = json.dumps({"keys": [jwk | {"kid": "platform", "alg": ALGORITHM}]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def jwks_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/jwks"

    def token(self, **claims: Any) -> str:
        """A token, with these claims in place of the usual ones."""
        now_s = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "someone@example.com",
            "iat": now_s,
            "exp": now_s + 3_600,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(usual | claims, self._key, ALGORITHM, {"kid": "platform"})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
