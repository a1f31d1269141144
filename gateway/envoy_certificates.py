"""The certificate that Envoy shows to the processes, and whose certificates it takes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.envoy_listeners import file_source, resource_file
from kit.base.access.certificates import CertificateAuthority, dns_name
from kit.base.clock import Clock

OWN_FILE, TRUSTED_FILE = resource_file("certificates"), resource_file("authorities")
SERVICE_ID = "envoy"
OWN, TRUSTED = "own", "trusted"
RENEWAL_S = 30 * 86_400.0
TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"

Json = dict[str, Any]


def secrets(folder: Path, mesh_id: str, clock: Clock) -> dict[str, Json]:
    """Envoy's certificate, new, and that of the authority, by their files: Envoy need not see the
    folder of the keys, ``folder``. A file can have one secret only. Raises SettingError."""
    authority = CertificateAuthority(folder, mesh_id, clock)
    issued = authority.issue(SERVICE_ID)
    own = {
        "certificate_chain": {"inline_string": issued.chain.decode()},
        "private_key": {"inline_string": issued.key.decode()},
    }
    trusted = {"trusted_ca": {"inline_string": authority.certificate.decode()}}
    return {
        OWN_FILE: {"@type": f"{TYPES}.Secret", "name": OWN, "tls_certificate": own},
        TRUSTED_FILE: {"@type": f"{TYPES}.Secret", "name": TRUSTED, "validation_context": trusted},
    }


def transport_socket(folder: Path, service_ids: Iterable[str]) -> Json:
    """Of a cluster: its processes must show a certificate of one of these services."""
    names = [
        {"san_type": "DNS", "matcher": {"exact": dns_name(service_id)}}
        for service_id in service_ids
    ]
    context = {
        "@type": f"{TYPES}.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [
                {"name": OWN, "sds_config": file_source(folder, OWN_FILE)}
            ],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": names},
                "validation_context_sds_secret_config": {
                    "name": TRUSTED,
                    "sds_config": file_source(folder, TRUSTED_FILE),
                },
            },
        },
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}
