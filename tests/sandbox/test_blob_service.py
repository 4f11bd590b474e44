"""What the sandbox's blob service does beyond the common contract: who may call, addresses, restarts, use in process."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.faults import Fault
from sandbox.kernel.settings import new_settings
from sandbox.storage import leases, sas
from sandbox.storage.app import create
from sandbox.storage.errors import StorageError
from sandbox.storage.state import StorageState
from tests.sandbox.asgi import Service
from tests.sandbox.blob_fixtures import *  # noqa: F403
from tests.sandbox.blob_fixtures import ACCOUNT, KEY, KEY2, BlobService, add_account
from tests.sandbox.inprocess import TokenCredential

HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def box(sandbox_service: BlobService) -> Any:
    container = sandbox_service.container()
    container.upload_blob("a/b.txt", b"content")
    return container


def refusal(call: Any) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as error:
        call()
    code: Any = getattr(error.value, "error_code", "")
    return error.value.status_code, str(getattr(code, "value", code))


class TestWhoMayCall:
    def test_both_account_keys_and_no_other(self, sandbox_service: BlobService) -> None:
        sandbox_service.client(KEY2).create_container(f"k2-{uuid.uuid4().hex[:8]}")
        with pytest.raises(ClientAuthenticationError) as error:
            sandbox_service.client("bm90IHRoZSBrZXk=").create_container("nope")
        assert (error.value.status_code, error.value.error_code.value) == (403, "AuthenticationFailed")

    def test_a_regenerated_key_replaces_the_old(self, storage_context: Sandbox, sandbox_service: BlobService) -> None:
        arm: ArmState = storage_context.states["arm"]
        account = arm.get(add_account(storage_context, "rotating"))
        assert account is not None
        url = storage_context.settings.url("blob") + "/rotating"
        service = BlobService("sandbox", url, "rotating", KEY, sandbox_service.ca)
        service.client().create_container("one")
        account.private = {"keys": {"key1": "bmV3IGtleQ==", "key2": KEY2}}
        arm.put(account)
        storage_context.states["storage"].accounts.forget()
        assert refusal(lambda: service.client().create_container("two"))[0] == 403
        service.client("bmV3IGtleQ==").create_container("two")

    def test_an_entra_token_for_storage_opens_and_another_does_not(
        self, storage_context: Sandbox, sandbox_service: BlobService, box: Any
    ) -> None:
        credential = TokenCredential(storage_context)
        client = ContainerClient(
            sandbox_service.account_url,
            box.container_name,
            credential=credential,
            connection_verify=sandbox_service.ca,
            retry_total=0,
        )
        assert client.download_blob("a/b.txt").readall() == b"content"
        app = Service(
            create(storage_context),
            token=storage_context.tokens.issue("https://management.azure.com", storage_context.owner),
        )
        answer = app.get(f"/{ACCOUNT}/{box.container_name}/a/b.txt")
        assert (answer.status, answer.headers["x-ms-error-code"]) == (401, "InvalidAuthenticationInfo")
        app.close()

    def test_nobody_without_credentials(self, storage_context: Sandbox, box: Any) -> None:
        app = Service(create(storage_context))
        answer = app.get(f"/{ACCOUNT}/{box.container_name}/a/b.txt")
        assert (answer.status, answer.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
        assert "<Code>NoAuthenticationInformation</Code>" in answer.text
        app.close()

    def test_an_unknown_account(self, storage_context: Sandbox, sandbox_service: BlobService) -> None:
        url = storage_context.settings.url("blob") + "/stranger"
        other = BlobServiceClient(
            url, {"account_name": "stranger", "account_key": KEY}, connection_verify=sandbox_service.ca, retry_total=0
        )
        with pytest.raises(ResourceNotFoundError, match="stranger"):
            other.create_container("box")


class TestSharedAccessSignatures:
    def blob(self, service: BlobService, box: Any, token: str) -> BlobClient:
        return BlobClient(
            service.account_url,
            box.container_name,
            "a/b.txt",
            credential=token,
            connection_verify=service.ca,
            retry_total=0,
        )

    def test_one_blob_to_read(self, sandbox_service: BlobService, box: Any) -> None:
        token = generate_blob_sas(
            ACCOUNT,
            box.container_name,
            "a/b.txt",
            account_key=KEY,
            permission=BlobSasPermissions(read=True),
            expiry=now() + HOUR,
        )
        blob = self.blob(sandbox_service, box, token)
        assert blob.download_blob().readall() == b"content"
        assert refusal(lambda: blob.upload_blob(b"", overwrite=True)) == (403, "AuthorizationPermissionMismatch")
        other = BlobClient(
            sandbox_service.account_url,
            box.container_name,
            "other",
            credential=token,
            connection_verify=sandbox_service.ca,
            retry_total=0,
        )
        assert refusal(lambda: other.download_blob())[0] == 403

    def test_a_forged_or_expired_one_is_refused(self, sandbox_service: BlobService, box: Any) -> None:
        def token(**changes: Any) -> str:
            options = {
                "account_key": KEY,
                "permission": BlobSasPermissions(read=True),
                "expiry": now() + HOUR,
                **changes,
            }
            return generate_blob_sas(ACCOUNT, box.container_name, "a/b.txt", **options)

        widened = token().replace("sp=r", "sp=rw")
        for bad in (
            widened,
            token(account_key="bm8="),
            token(expiry=now() - HOUR),
            token(start=now() + HOUR, expiry=now() + 2 * HOUR),
        ):
            blob = self.blob(sandbox_service, box, bad)
            assert refusal(lambda blob=blob: blob.download_blob()) == (403, "AuthenticationFailed")

    def test_a_container(self, sandbox_service: BlobService, box: Any) -> None:
        permission = ContainerSasPermissions(read=True, list=True, write=True, create=True)
        token = generate_container_sas(
            ACCOUNT, box.container_name, account_key=KEY2, permission=permission, expiry=now() + HOUR
        )
        client = ContainerClient(
            sandbox_service.account_url,
            box.container_name,
            credential=token,
            connection_verify=sandbox_service.ca,
            retry_total=0,
        )
        client.upload_blob("new", b"x")
        assert [blob.name for blob in client.list_blobs()] == ["a/b.txt", "new"]
        assert refusal(lambda: client.delete_blob("new")) == (403, "AuthorizationPermissionMismatch")

    def test_an_account_token_is_held_to_its_kinds_of_resource(self, sandbox_service: BlobService, box: Any) -> None:
        token = generate_account_sas(
            ACCOUNT,
            KEY,
            resource_types=ResourceTypes(object=True),
            permission=AccountSasPermissions(read=True, list=True),
            expiry=now() + HOUR,
        )
        assert self.blob(sandbox_service, box, token).download_blob().readall() == b"content"
        client = sandbox_service.client(token)
        assert refusal(lambda: list(client.list_containers())) == (403, "AuthorizationResourceTypeMismatch")

    def test_a_user_delegation_key_signs_without_an_account_key(
        self, storage_context: Sandbox, sandbox_service: BlobService, box: Any
    ) -> None:
        client = sandbox_service.client(TokenCredential(storage_context))
        key = client.get_user_delegation_key(now() - HOUR, now() + HOUR)
        token = generate_blob_sas(
            ACCOUNT,
            box.container_name,
            "a/b.txt",
            user_delegation_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=now() + HOUR,
        )
        assert self.blob(sandbox_service, box, token).download_blob().readall() == b"content"
        assert refusal(lambda: self.blob(sandbox_service, box, token.replace("sp=r", "sp=rd")).delete_blob())[0] == 403

    def test_the_sandbox_signs_its_own(self, storage_context: Sandbox, sandbox_service: BlobService, box: Any) -> None:
        token = sas.service_sas(ACCOUNT, KEY, box.container_name)
        self.blob(sandbox_service, box, token).upload_blob(b"new", overwrite=True)
        link = sas.blob_url(storage_context.settings.url("blob"), ACCOUNT, KEY, box.container_name, "a/b.txt")
        assert BlobClient.from_blob_url(link, connection_verify=sandbox_service.ca).download_blob().readall() == b"new"


class TestAddresses:
    def test_the_name_that_the_ml_sdk_builds_from_host_port_and_account(
        self, storage_context: Sandbox, sandbox_service: BlobService, box: Any
    ) -> None:
        host = storage_context.settings.url("blob").removeprefix("https://")
        url = f"https://{host}/{ACCOUNT}.blob.{host}"
        for credential in (KEY, sas.service_sas(ACCOUNT, KEY, box.container_name), TokenCredential(storage_context)):
            client = BlobServiceClient(url, credential=credential, connection_verify=sandbox_service.ca, retry_total=0)
            assert client.get_blob_client(box.container_name, "a/b.txt").download_blob().readall() == b"content"

    def test_azures_public_host_name(self, storage_context: Sandbox, box: Any) -> None:
        app = Service(
            create(storage_context),
            token=storage_context.tokens.issue("https://storage.azure.com/", storage_context.owner),
        )
        answer = app.get(f"https://{ACCOUNT}.blob.core.windows.net/{box.container_name}/a/b.txt")
        assert answer.content == b"content"
        listed = app.get(f"https://{ACCOUNT}.blob.core.windows.net/?comp=list")
        assert f'ServiceEndpoint="https://{ACCOUNT}.blob.core.windows.net/"' in listed.text
        app.close()

    @pytest.mark.parametrize(
        "query", ["comp=page", "comp=snapshot", "comp=tags", "snapshot=2026-01-01", "comp=undelete"]
    )
    def test_what_is_not_imitated_says_so(self, storage_context: Sandbox, box: Any, query: str) -> None:
        app = Service(create(storage_context))
        answer = app.put(f"/{ACCOUNT}/{box.container_name}/a/b.txt?{query}")
        assert (answer.status, answer.headers["x-ms-error-code"]) == (501, "NotImitatedBySandbox")
        app.close()


def test_a_name_that_xml_cannot_hold_is_listed_all_the_same(sandbox_service: BlobService) -> None:
    box = sandbox_service.container()
    names = ["bell\x07<&>'\".txt", "fine"]
    for name in names:
        box.upload_blob(name, b"x")
    assert [blob.name for blob in box.list_blobs()] == names


def test_a_throttled_call_is_retried_by_the_sdk(
    storage_context: Sandbox, sandbox_service: BlobService, box: Any
) -> None:
    storage_context.faults.add(Fault(kind="http", target="blob:GET */a/b.txt", status=503, times=1))
    client = sandbox_service.client(retry_total=2, initial_backoff=0, increment_base=0).get_container_client(
        box.container_name
    )
    assert client.download_blob("a/b.txt").readall() == b"content"
    assert not storage_context.faults.list()


def test_everything_survives_a_restart_and_nothing_a_reset(tmp_path: Path) -> None:
    settings = new_settings(now=time.time())
    first = open_sandbox(tmp_path, settings)
    state = StorageState(first)
    state.ensure_container("acct", "box")
    state.put("acct", "box", "a", b"1")
    half_written = tmp_path / "blobs" / "half-written"
    half_written.write_bytes(b"...")
    first.store.close()

    second = open_sandbox(tmp_path, settings)
    again = StorageState(second)
    asyncio.run(again.start())
    assert again.get("acct", "box", "a") == b"1"
    assert not half_written.exists()
    again.reset()
    assert list((tmp_path / "blobs").iterdir()) == []
    with pytest.raises(StorageError) as error:
        again.get("acct", "box", "a")
    assert error.value.code == "ContainerNotFound"
    second.store.close()


def test_services_use_it_in_process(storage_context: Sandbox, sandbox_service: BlobService, tmp_path: Path) -> None:
    state: StorageState = storage_context.states["storage"]
    state.ensure_container(ACCOUNT, "in-process")
    state.ensure_container(ACCOUNT, "in-process")
    (tmp_path / "file").write_bytes(b"from a file")
    state.put(ACCOUNT, "in-process", "logs/1", b"text", "text/plain")
    state.put(ACCOUNT, "in-process", "logs/2", tmp_path / "file")
    assert state.list(ACCOUNT, "in-process", "logs/") == ["logs/1", "logs/2"]
    assert state.path(ACCOUNT, "in-process", "logs/2").read_bytes() == b"from a file"
    seen = sandbox_service.client().get_container_client("in-process")
    assert seen.download_blob("logs/1").readall() == b"text"


def test_a_killed_append_leaves_no_trace(storage_context: Sandbox, sandbox_service: BlobService) -> None:
    """The bytes of an append count once the record of their length is there, not before."""
    box = sandbox_service.container()
    blob = box.get_blob_client("journal")
    blob.create_append_blob()
    blob.append_block(b"line 1\n")
    state: StorageState = storage_context.states["storage"]
    with state.path(ACCOUNT, box.container_name, "journal").open("ab") as file:
        file.write(b"half a li")
    assert blob.download_blob().readall() == b"line 1\n"
    blob.append_block(b"line 2\n")
    assert blob.download_blob().readall() == b"line 1\nline 2\n"


class TestLeaseClock:
    """Leases end by the clock; here the clock is an argument."""

    def test_it_expires_after_its_duration_and_can_be_renewed_until_someone_else_takes_it(self) -> None:
        lease = leases.acquire(None, None, 15, now=100.0)
        assert [lease.state(at) for at in (100.0, 114.9, 115.0)] == ["leased", "leased", "expired"]
        assert leases.renew(lease, lease.id, now=200.0).state(214.0) == "leased"
        other = leases.acquire(lease, None, 15, now=200.0)
        with pytest.raises(StorageError, match="did not match"):
            leases.renew(other, lease.id, now=201.0)

    def test_a_write_with_a_lease_that_ran_out_is_refused(self) -> None:
        lease = leases.acquire(None, None, 15, now=100.0)
        leases.check_write(lease, lease.id, now=114.0)
        leases.check_write(lease, None, now=116.0)
        with pytest.raises(StorageError) as error:
            leases.check_write(lease, lease.id, now=116.0)
        assert (error.value.status, error.value.code) == (412, "LeaseLost")

    def test_an_infinite_lease_breaks_at_once_unless_told_otherwise(self) -> None:
        lease = leases.acquire(None, None, leases.INFINITE, now=0.0)
        assert lease.state(1e9) == "leased"
        assert leases.break_(lease, None, now=10.0)[1] == 0
        broken, seconds = leases.break_(lease, 30, now=10.0)
        assert (seconds, broken.state(39.0), broken.state(40.0)) == (30, "breaking", "broken")
