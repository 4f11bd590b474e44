"""Azure's errors, turned once into `rollout.errors`, each with a way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rollout.errors import BadInput, Busy, LeaseLost, NotAllowed, NotFound, RolloutError, Unavailable

SANDBOX_WAY_OUT = "rollout sandbox up"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ASK_AGAIN = frozenset({408, 429, 500, 502, 503, 504})

T = TypeVar("T")


@contextmanager
def azure_errors(doing: str) -> Iterator[None]:
    """Run SDK calls; what they raise comes out as one of `rollout.errors`. `doing`: "read endpoint 'churn'"."""
    from azure.core.exceptions import AzureError
    from requests import RequestException

    try:
        yield
    except (AzureError, RequestException) as error:
        raise as_rollout_error(error, doing) from error


def as_rollout_error(error: Exception, doing: str) -> RolloutError:
    """The error that a user is shown for `error`, met while `doing`."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _of_status(status, error, doing)
    return _of_transport(error, doing)


def error_code(error: Exception) -> str:
    """Azure's own code, such as `LeaseAlreadyPresent`; empty when there is none."""
    code = getattr(error, "error_code", None) or getattr(getattr(error, "error", None), "code", None)
    return str(getattr(code, "value", code) or "")


def _of_status(status: int, error: Exception, doing: str) -> RolloutError:
    said = _said(error)
    if status < 400:  # a long-running operation that ended as Failed
        return RolloutError(f"cannot {doing}: {said}")
    if status == 404:
        return NotFound(f"cannot {doing}: {said}", way_out="check the name, and that `pulumi up` made it in this stack")
    if status in (409, 412):
        return Busy(f"cannot {doing}: {said}", way_out="wait for the other operation to end and try again")
    if status in _ASK_AGAIN:
        return Unavailable(f"cannot {doing}: Azure answered {status}: {said}", way_out="try again in a moment")
    if status == 401:
        return RolloutError(
            f"cannot {doing}: the credential was refused (401): {said}",
            way_out="sign in again (`az login`), or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        )
    if status == 403:
        return NotAllowed(f"cannot {doing}: not allowed (403): {said}", way_out=_role_for(doing))
    if status == 400:
        return BadInput(f"cannot {doing}: {said}")
    return RolloutError(f"cannot {doing}: Azure answered {status}: {said}")


def _of_transport(error: Exception, doing: str) -> RolloutError:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError
    from requests import RequestException

    text = _chain(error)
    if "refused" in text and any(host in text for host in _LOOPBACK):
        return Unavailable(f"cannot {doing}: the sandbox is not running", way_out=SANDBOX_WAY_OUT)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Unavailable(
            f"cannot {doing}: the server's certificate is not trusted",
            way_out='set REQUESTS_CA_BUNDLE and SSL_CERT_FILE (sandbox: eval "$(rollout sandbox env)")',
        )
    if isinstance(error, ClientAuthenticationError):
        return RolloutError(
            f"cannot {doing}: no credential works: {_said(error)}",
            way_out="sign in (`az login`), or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        )
    if isinstance(error, (ServiceRequestError, ServiceResponseError, RequestException)):
        return Unavailable(f"cannot {doing}: no answer: {_said(error)}", way_out="check the network and try again")
    if isinstance(error, AzureError):
        return BadInput(f"cannot {doing}: {_said(error)}")  # azure-ai-ml refused the input before sending it
    return RolloutError(f"cannot {doing}: {_said(error)}")


def _role_for(doing: str) -> str:
    """The stack's own role, or the built-in one that holds the same for this call."""
    if "scales" in doing:
        return (
            "sign in as one who has the stack's role 'Model Scale Operator' (it is there once an endpoint has `scale`:"
            " `pulumi up`), or grant 'Monitoring Contributor' on the resource group"
        )
    if "batch" in doing or " job " in doing:
        return (
            "sign in as one who has the stack's role 'Model Batch Operator' (it is there once the stack has `batchEndpoints`:"
            " `pulumi up`), or grant 'AzureML Data Scientist' on the workspace"
        )
    if "download model" in doing:
        built_in = "'Storage Blob Data Reader' on the workspace's storage account, or give --payload request.json"
    elif "secret" in doing:
        return "sign in as one who may read the vault's secrets: grant 'Key Vault Secrets User' on the secret"
    elif "registry" in doing:
        return "sign in as one who may use the ML registry: grant 'AzureML Registry User' on it"
    elif "write model.sig" in doing:
        built_in = "'Storage Blob Data Contributor' on the workspace's storage account"
    elif "journal" in doing:
        built_in = "'Storage Blob Data Contributor' on the journal's container"
    elif "metrics" in doing or "logs" in doing:
        built_in = "'Monitoring Reader' on the resource group"
    elif "event" in doing:
        built_in = "'EventGrid Data Sender' on the stack's topic"
    else:
        built_in = "'AzureML Data Scientist' on the workspace"
    return f"sign in as one who has the stack's role 'Model Rollout Operator', or grant {built_in}"


def _said(error: Exception) -> str:
    """The first line of what the service or SDK said, without its banner."""
    inner = getattr(error, "error", None)
    text = str(getattr(inner, "message", "") or getattr(error, "message", "") or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _chain(error: BaseException | None) -> str:
    """The texts of an error and its causes: SDKs wrap the refused connection several times."""
    texts = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return " ".join(texts)


def waiting_while_busy(call: Callable[[], T], *, attempts: int = 40, longest_wait: float = 15.0) -> T:
    """`call` again while it raises `Busy` or `Unavailable`, with growing waits; then `Unavailable`.

    The defaults add up to some five minutes, longer than an endpoint stays Updating. A sandbox that is down is
    told at once.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    def passing(error: BaseException) -> bool:
        if isinstance(error, LeaseLost):
            return False
        return isinstance(error, (Busy, Unavailable)) and error.way_out != SANDBOX_WAY_OUT

    retrying = Retrying(
        retry=retry_if_exception(passing),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.5, max=longest_wait),
        reraise=True,
    )
    try:
        return retrying(call)
    except LeaseLost:
        raise
    except Busy as error:
        # `Busy` is for the journal's lease; an endpoint that stays Updating did not answer.
        raise Unavailable(f"{error.message} (asked {attempts} times)", way_out=error.way_out) from error
