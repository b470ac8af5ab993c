"""TLS: the master proves who it is, and so do we. Certificates are made on the spot by openssl."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from scheduler.mesos.endpoint import Endpoint, Tls, redirected
from scheduler.mesos.link import Security
from scheduler.mesos.outcome import Sent
from scheduler.mesos.subscription import Timing
from tests.unit.mesos.conftest import Harness


def openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(("openssl", *arguments), cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a certificate of localhost and 127.0.0.1, one of master.test, one of a client."""
    where = tmp_path_factory.mktemp("pki")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem",
            cwd=where)  # fmt: skip
    for name, alternatives in (
        ("here", "DNS:localhost,IP:127.0.0.1"),
        ("master", "DNS:master.test"),
        ("client", "DNS:egret"),
    ):
        openssl("req", *key[:-2], "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr", cwd=where)  # fmt: skip
        (where / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
                "-out", f"{name}.pem", cwd=where)  # fmt: skip
    return where


def server_side(pki: Path, name: str, *, ask_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    if ask_client:
        context.load_verify_locations(pki / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def until_failed(harness: Harness, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while harness.driver.stats.link.failed_attempts < times:
            await asyncio.sleep(0.01)


async def test_subscribes_and_calls_over_tls(harness: Harness, pki: Path):
    there = await harness.master.start(tls=server_side(pki, "here"))
    driver = harness.start(there, security=Security(Tls(ca_file=str(pki / "ca.pem"))))
    await harness.until_subscribed()
    assert await driver.call(driver.reviveOffers) == Sent(202)


async def test_a_certificate_of_an_unknown_authority_is_refused(harness: Harness, pki: Path):
    harness.start(await harness.master.start(tls=server_side(pki, "here")))
    await until_failed(harness)
    assert not harness.master.subscribes


async def test_a_certificate_of_another_name_is_refused(harness: Harness, pki: Path):
    there = await harness.master.start(tls=server_side(pki, "master"))
    harness.start(there, security=Security(Tls(ca_file=str(pki / "ca.pem"))))
    await until_failed(harness)
    assert not harness.master.subscribes


async def test_a_master_found_by_address_is_checked_for_its_host_name(harness: Harness, pki: Path):
    """ZooKeeper tells both the address to connect to and the name the certificate carries."""
    there = await harness.master.start(tls=server_side(pki, "master"))
    named = Endpoint("https", there.host, there.port, server_name="master.test")
    harness.start(named, security=Security(Tls(ca_file=str(pki / "ca.pem"))))
    await harness.until_subscribed()


async def test_shows_its_own_certificate_to_a_master_that_asks(harness: Harness, pki: Path):
    there = await harness.master.start(tls=server_side(pki, "here", ask_client=True))
    harness.start(
        there,
        security=Security(
            Tls(str(pki / "ca.pem"), str(pki / "client.pem"), str(pki / "client.key"))
        ),
    )
    await harness.until_subscribed()


async def test_without_a_certificate_such_a_master_is_not_reached(harness: Harness, pki: Path):
    there = await harness.master.start(tls=server_side(pki, "here", ask_client=True))
    harness.start(there, security=Security(Tls(ca_file=str(pki / "ca.pem"))))
    await until_failed(harness)
    assert not harness.master.subscribes


async def test_a_missing_certificate_file_is_a_failed_attempt_not_the_end(
    harness: Harness, pki: Path, tmp_path: Path
):
    """A certificate that is being renewed may be away for a moment."""
    there = await harness.master.start(tls=server_side(pki, "here"))
    later = tmp_path / "ca.pem"
    harness.start(there, security=Security(Tls(ca_file=str(later))))
    await until_failed(harness)
    later.write_bytes((pki / "ca.pem").read_bytes())
    await harness.until_subscribed()


async def test_a_handshake_that_is_never_answered_ends_at_the_connect_deadline(
    harness: Harness, pki: Path
):
    """Like an address that swallows every packet: nothing is refused, nothing comes."""
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        harness.start(
            Endpoint("https", "127.0.0.1", port),
            security=Security(Tls(ca_file=str(pki / "ca.pem"))),
            timing=Timing(connect_timeout_s=0.05, backoff_first_s=0.001, backoff_cap_s=0.01),
        )
        await until_failed(harness, 2)


async def test_a_plain_server_where_tls_is_expected_is_refused(harness: Harness, pki: Path):
    plain = await harness.master.start()
    harness.start(
        Endpoint("https", plain.host, plain.port),
        security=Security(Tls(ca_file=str(pki / "ca.pem"))),
    )
    await until_failed(harness)
    assert not harness.master.subscribes


def test_a_redirect_never_leaves_https():
    here = Endpoint("https", "a", 5050)
    assert redirected(here, "//b:5051/x") == Endpoint("https", "b", 5051, "/x")
    with pytest.raises(ValueError, match="https to http"):
        redirected(here, "http://b:5051/x")
