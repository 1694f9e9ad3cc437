"""The certificates that Google's clients trust on this machine: an authority of the root's own, and one server.

How it works: gRPC clients speak TLS to `<region>-aiplatform.googleapis.com` and will not be talked out of it. The
variable GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names the only authorities that such a process trusts; it is pointed at the
one made here. The authority's private key is forgotten as soon as it has signed the one server certificate, so that
nothing else can ever be signed with it, and a process that trusts it alone cannot be talked to by the real Google.

What it does not do: add anything to the machine's trust. What is not told to trust this authority does not.
"""

import contextlib
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAMES = ("*.googleapis.com", "localhost")
VALID = timedelta(days=365)
# long enough that a cloud which is started today does not outlive its certificate
RENEWED_BEFORE = timedelta(days=30)
# clocks of containers and of their hosts differ
_BACKDATED = timedelta(days=1)
_CURVE = ec.SECP256R1()


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority's certificate, the server's certificate, and the server's private key."""

    ca: Path
    certificate: Path
    key: Path


def ensure_certificates(root: Path, now: datetime | None = None) -> Certificates:
    """Return the certificates kept under `root`, made anew when there are none that hold for the next 30 days.

    Only one process may call it for a root at a time; the one that holds the root's lock does.
    """
    folder = root / "certificates"
    kept = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    moment = now or datetime.now(UTC)
    if not _holds(kept, moment + RENEWED_BEFORE):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        _make(kept, moment)
    return kept


def _holds(kept: Certificates, until: datetime) -> bool:
    """Whether the three files belong together and are valid until a moment."""
    try:
        ca = x509.load_pem_x509_certificate(kept.ca.read_bytes())
        server = x509.load_pem_x509_certificate(kept.certificate.read_bytes())
        key = load_pem_private_key(kept.key.read_bytes(), password=None)
        server.verify_directly_issued_by(ca)
        names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return (
        min(ca.not_valid_after_utc, server.not_valid_after_utc) > until
        and tuple(names.get_values_for_type(x509.DNSName)) == SERVER_NAMES
        and key.public_key().public_bytes(*spki) == server.public_key().public_bytes(*spki)
    )


def _make(kept: Certificates, now: datetime) -> None:
    authority, server = ec.generate_private_key(_CURVE), ec.generate_private_key(_CURVE)
    issuer = _name("localcloud authority")
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    ca = (
        _certificate(issuer, issuer, authority, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority, hashes.SHA256())
    )
    names = [*(x509.DNSName(name) for name in SERVER_NAMES), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        _certificate(_name("localcloud"), issuer, server, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority, hashes.SHA256())
    )
    write_private(kept.key, server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(kept.certificate, certificate.public_bytes(Encoding.PEM))
    write_private(kept.ca, ca.public_bytes(Encoding.PEM))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _BACKDATED,
        not_valid_after=now + VALID,
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its user alone can read (mode 0600); it appears whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    part.rename(path)
