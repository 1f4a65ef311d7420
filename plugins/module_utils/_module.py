# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the core meets AnsibleModule: signals, results, errors, and what Ansible masks."""

from __future__ import annotations

import re
import signal
import threading
import traceback
from collections.abc import Callable, Collection
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nomba.auth.plugins.module_utils._clock import request_stop
from ansible_collections.nomba.auth.plugins.module_utils._errors import LibraryMissing, NombaError
from ansible_collections.nomba.auth.plugins.module_utils._token import sensitive_parts

try:
    from ansible.module_utils.secrets import register_secrets
except ImportError:  # ansible-core 2.21 and older mask the values of no_log_values only
    register_secrets = None

# The minimum length of a token that Ansible masks everywhere in a result.
_MIN_LENGTH = 20
_MISPLACED = re.compile(r"//.*@|eyJ[\w-]*(?:\.[\w-]+)+")


class NombaModule(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule that masks misplaced secrets before Ansible logs the options to syslog."""

    def _log_invocation(self) -> None:
        _register_no_log_values(self)
        super()._log_invocation()


def run(module: AnsibleModule, main: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Run a module and return its result or its error to Ansible.

    main: returns the result; one that contains `error` has failed. The text of a NombaError never
    contains a secret. SIGTERM and SIGINT stop the run early, with a result for each token.
    """
    if threading.current_thread() is threading.main_thread():  # only it may set handlers
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop_early)
    _register_no_log_values(module)  # Ansible does not log the options of a task with no_log
    try:
        result = main(module)
    except LibraryMissing as error:
        trace = traceback.format_exc()
        description = missing_required_lib(error.library)
        module.fail_json(msg=description, exception=trace, error={"code": error.code})
    except NombaError as error:
        module.fail_json(msg=str(error), changed=False, error={"code": error.code})
    else:
        finish = module.fail_json if "error" in result else module.exit_json
        finish(**result)


def _stop_early(_number: int, _frame: object) -> None:
    request_stop()


def mask_everywhere(module: AnsibleModule, values: Collection[str]) -> None:
    """Mask values in everything that Ansible prints, and in the result before ansible-core 2.22."""
    module.no_log_values.update(values)
    mask_output(values)


def mask_output(values: Collection[str]) -> None:
    """Mask values in everything that Ansible prints; tasks still receive the unmasked result.

    ansible-core 2.21 and older cannot do this: their users need no_log on the task.
    """
    if register_secrets is not None:
        register_secrets(values)


def _register_no_log_values(module: AnsibleModule) -> None:
    """Register values that Ansible masks everywhere in a result, including its msg."""
    several = module.params.get("access_tokens") or []
    tokens = {module.params.get("access_token"), *several}
    # A value that is too short to be a token would also mask parts of ordinary messages.
    module.no_log_values.difference_update({v for v in tokens if v and len(v) < _MIN_LENGTH})
    # A result repeats all options: mask a password in a URL, or a token in the wrong option.
    for name in ("api_url", "account_id", "client_id", "ca_path"):
        mask_everywhere(module, _MISPLACED.findall(str(module.params.get(name))))
    for path in module.params.get("sources") or []:
        mask_everywhere(module, sensitive_parts(path))
