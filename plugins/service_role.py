"""A role of Airflow's simple auth manager for the feedback service: it posts asset events, and nothing else.

The simple auth manager has four fixed roles, and `op`, the least that may post an event of an asset, may also trigger any DAG,
pause them and create connections. Who steals the service's password must not get that. So the role `asset_events` may

- look assets up, to find the id of the one that it reports;
- post an event of an asset; that starts the DAGs which wait for it, and these decide for themselves whether there is work.

Everything else is refused: DAGs, runs, logs, connections, variables, pools, configuration, every page but the login.
Airflow cannot limit it to one asset: the asset's id is in the body of the request, which no auth manager sees.

Set by `[core] auth_manager`; users by `[core] simple_auth_manager_users`, such as `feedback-service:asset_events`.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

ASSET_EVENTS = "asset_events"
MAY_ASK_OF_ASSETS = {"GET", "POST"}


def _is_service(user) -> bool:
    return (user.role or "").lower() == ASSET_EVENTS


class ServiceRoleAuthManager(SimpleAuthManager):
    """Airflow's own, with one role more."""

    def is_authorized_asset(self, *, method, user, details=None) -> bool:
        """Whether a user may look at assets, or post events of them."""
        if _is_service(user):
            return method in MAY_ASK_OF_ASSETS
        return super().is_authorized_asset(method=method, user=user, details=details)

    def is_authorized_asset_alias(self, *, method, user, details=None) -> bool:
        """Whether a user may look at aliases, which Airflow asks of whoever lists assets."""
        if _is_service(user):
            return method == "GET"
        return super().is_authorized_asset_alias(method=method, user=user, details=details)

    def filter_authorized_menu_items(self, menu_items, *, user):
        """What a user sees in the navigation."""
        return [] if _is_service(user) else super().filter_authorized_menu_items(menu_items, user=user)

    @staticmethod
    def _is_admin(user) -> bool:
        return not _is_service(user) and SimpleAuthManager._is_admin(user)

    @staticmethod
    def _is_authorized(*, user, **asked) -> bool:
        """Behind every other question: Airflow's own roles have an order, and this one is beside it."""
        return not _is_service(user) and SimpleAuthManager._is_authorized(user=user, **asked)
