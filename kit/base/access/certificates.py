"""X.509 certificates of the processes of a mesh, signed by its authority.

A certificate names one service as common name and as DNS name ``SERVICE.venuemesh``, and any
process of the mesh as DNS name ``process.venuemesh``. gRPC reads ECDSA keys; it does not read
Ed25519. A file has a certificate together with its key, so that both are replaced at once.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import SettingError
from kit.base.private_keys import pem_of
from kit.base.secret_files import write_secret

AUTHORITY_FILE = "authority.crt"
"""The certificate of the authority, which everybody may read."""
AUTHORITY_KEY_FILE = "authority.key"
AUTHORITY_DAYS = 3_650
PROCESS_DAYS = 90
EARLIER_S = 300
"""Certificates are valid from a little earlier, for processes whose clock is behind."""
RENEWAL_SHARE = 1 / 3
"""A certificate is renewed when this share of its life is left."""
WARNING_SHARE = 1 / 6
"""When only this share is left, nobody has renewed it: processes warn."""
DOMAIN = "venuemesh"
ANY_PROCESS = f"process.{DOMAIN}"

Names = list[x509.GeneralName]


def dns_name(service_id: str) -> str:
    """The name by which a certificate of a service is known. "": any process of the mesh."""
    return f"{service_id}.{DOMAIN}" if service_id else ANY_PROCESS


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, both as PEM."""

    chain: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Validity:
    """Which service a certificate names, and from when to when. Times in s since the Unix epoch."""

    service_id: str
    start_s: float
    end_s: float

    @classmethod
    def of(cls, pem: bytes) -> "Validity":
        """Of the first certificate in PEM. Raises ValueError if there is none."""
        found = x509.load_pem_x509_certificate(pem)
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        start, end = found.not_valid_before_utc, found.not_valid_after_utc
        name = str(names[0].value) if names else ""
        return cls(name, start.timestamp(), end.timestamp())

    def left(self, clock: Clock) -> float:
        """The share of its life that is left, from 1 to 0; below 0 it has expired."""
        now_s = clock.time_ns() / NANOSECONDS_PER_SECOND
        return (self.end_s - now_s) / max(self.end_s - self.start_s, 1.0)


def require_pair(chain: bytes, key: bytes) -> None:
    """Raise ValueError unless the key belongs to the certificate; both are PEM."""
    private = serialization.load_pem_private_key(key, None)
    public = x509.load_pem_x509_certificate(chain).public_key()
    if _public_bytes(private.public_key()) != _public_bytes(public):
        raise ValueError("the key is not that of the certificate")


def keep_current(
    file: Path, service_id: str, authority: "CertificateAuthority", days: int = 0
) -> Validity:
    """Write the certificate of a service with its key, unless the file has one of this authority
    that need not be renewed. ``days``: of a new one; 0: PROCESS_DAYS. Raises OSError."""
    try:
        present = file.read_bytes()
        found = Validity.of(present)
        is_current = found.left(authority.clock) > RENEWAL_SHARE and authority.has_signed(present)
    except (FileNotFoundError, ValueError):
        is_current = False
    if not is_current or found.service_id != service_id:
        issued = authority.issue(service_id, days or PROCESS_DAYS)
        write_secret(file, issued.key + issued.chain)
        found = Validity.of(issued.chain)
    return found


class CertificateAuthority:
    """Signs the certificates of one mesh. Makes its key when there is none."""

    def __init__(self, folder: Path, mesh_id: str, clock: Clock) -> None:
        """``folder``: that of the mesh's keys. Raises SettingError if it cannot be used."""
        self.clock = clock
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{DOMAIN} {mesh_id}")])
        key_file, file = folder / AUTHORITY_KEY_FILE, folder / AUTHORITY_FILE
        try:
            if not key_file.exists():
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_secret(key_file, pem_of(ec.generate_private_key(ec.SECP256R1())))
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise SettingError("access.authority", str(key_file), "must be an ECDSA key")
            self._key = key
            if not file.exists():
                write_secret(file, self._own())
            self.certificate = file.read_bytes()
        except OSError as error:
            raise SettingError("access.authority", str(folder), f"{error.strerror}") from None

    def issue(self, service_id: str, days: int = PROCESS_DAYS) -> Certificate:
        """A certificate of a service with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, service_id)])
        names: Names = [x509.DNSName(dns_name(service_id)), x509.DNSName(ANY_PROCESS)]
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            self._builder(subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        )
        chain = builder.sign(self._key, hashes.SHA256())
        return Certificate(chain.public_bytes(serialization.Encoding.PEM), pem_of(key))

    def has_signed(self, pem: bytes) -> bool:
        """Whether a certificate is of this authority."""
        try:
            own = x509.load_pem_x509_certificate(self.certificate)
            x509.load_pem_x509_certificate(pem).verify_directly_issued_by(own)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _own(self) -> bytes:
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key.public_key(), AUTHORITY_DAYS)
        signed = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        now_s = self.clock.time_ns() // NANOSECONDS_PER_SECOND
        now = dt.datetime.fromtimestamp(now_s, dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(seconds=EARLIER_S))
            .not_valid_after(now + dt.timedelta(days=days))
        )


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
