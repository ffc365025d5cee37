"""The instance described for clients: whom to trust, and where to sign."""

import datetime as dt
from typing import Any

from cryptography import x509

from pipeline.signing.local.keys import Keys, PrivateKey, der, key_id, spki
from pipeline.signing.local.rekor import ORIGIN_V1, ORIGIN_V2, b64, log_id_v2

_HOST = "local.gatehouse.invalid"
_P256 = "PKIX_ECDSA_P256_SHA_256"


def _time(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def trusted_root(keys: Keys) -> dict[str, Any]:
    """``trustedroot+json`` (sigstore/protobuf-specs, ``sigstore_trustroot.proto``).

    A function of the keys alone: no port, no time of today, so its digest is the instance's name.
    """
    valid_for = {"start": _time(keys.start)}

    def authority(name: str, *chain: x509.Certificate) -> dict[str, Any]:
        certificates = [{"rawBytes": b64(der(certificate))} for certificate in chain]
        return {
            "subject": {"organization": "Gatehouse local instance", "commonName": name},
            "uri": f"https://{name}.{_HOST}",
            "certChain": {"certificates": certificates},
            "validFor": valid_for,
        }

    def log(host: str, key: PrivateKey, details: str, log_id: bytes) -> dict[str, Any]:
        return {
            "baseUrl": f"https://{host}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": b64(spki(key)), "keyDetails": details, "validFor": valid_for},
            "logId": {"keyId": b64(log_id)},
        }

    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            log(ORIGIN_V1, keys.rekor_v1, _P256, key_id(keys.rekor_v1)),
            log(ORIGIN_V2, keys.rekor_v2, "PKIX_ED25519", log_id_v2(keys)),
        ],
        # The issuing certificate has to be there: the root alone does not verify.
        "certificateAuthorities": [authority("fulcio", keys.intermediate_certificate, keys.root_certificate)],
        "ctlogs": [log(f"ct.{_HOST}", keys.ct, _P256, key_id(keys.ct))],
        # Leaf first, two certificates or more.
        "timestampAuthorities": [authority("tsa", keys.tsa_certificate, keys.tsa_root_certificate)],
    }


def client_trust_config(keys: Keys, url: str, rekor_version: int) -> dict[str, Any]:
    """``clienttrustconfig+json``: the trusted root, and the services at ``url`` to sign with."""

    def service(address: str, version: int = 1) -> dict[str, Any]:
        return {
            "url": address,
            "majorApiVersion": version,
            "validFor": {"start": _time(keys.start)},
            "operator": _HOST,
        }

    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": trusted_root(keys),
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(url)],
            "oidcUrls": [service(url)],
            "rekorTlogUrls": [service(url, rekor_version)],
            "tsaUrls": [service(f"{url}/api/v1/timestamp")],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        },
    }
