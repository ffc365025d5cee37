"""Addresses, and the settings of Tornado that bound what a client may do."""

from pathlib import Path

from tornado import httputil
from tornado.httpserver import HTTPServer
from tornado.web import Application

from sample_app.assets import read_assets
from sample_app.data.memory import MemoryRepository
from sample_app.handlers.api import ApiNotFoundHandler, MessagesHandler, RoomsHandler
from sample_app.handlers.base import Service, log_request
from sample_app.handlers.health import HealthHandler, ReadyHandler
from sample_app.handlers.live import LiveHandler
from sample_app.handlers.page import AssetHandler, HomeHandler, NotFoundHandler, RoomHandler
from sample_app.limits import Buckets
from sample_app.security import XSRF_ATTRIBUTES, XSRF_COOKIE
from sample_app.services.board import Board
from sample_app.services.live import Hub
from sample_app.settings import Settings

MAX_BODY = 16 * 1024
MAX_HEADERS = 16 * 1024
MAX_FRAME = 16 * 1024
IDLE_SECONDS = 30
BODY_SECONDS = 10
PING_SECONDS = 20

ROOM = r"([0-9a-f]{16})"


def make_service(settings: Settings) -> Service:
    repository = MemoryRepository(max_rooms=settings.max_rooms, max_messages=settings.max_messages)
    return Service(
        board=Board(repository, Hub(max_readers=settings.max_readers)),
        assets=read_assets(),
        buckets=Buckets(rate=settings.requests_per_second, burst=settings.request_burst),
        trusted_proxies=settings.trusted_proxies,
    )


def make_application(service: Service) -> Application:
    shared = {"service": service}
    return Application(
        [
            (r"/", HomeHandler, shared),
            (rf"/rooms/{ROOM}", RoomHandler, shared),
            (r"/api/rooms", RoomsHandler, shared),
            (rf"/api/rooms/{ROOM}/messages", MessagesHandler, shared),
            (rf"/api/rooms/{ROOM}/live", LiveHandler, shared),
            (r"/api/.*", ApiNotFoundHandler, shared),
            (r"/static/([0-9a-f]{16})/([a-z]+\.[a-z]+)", AssetHandler, shared),
            (r"/healthz", HealthHandler, shared),
            (r"/readyz", ReadyHandler, shared),
        ],
        default_handler_class=NotFoundHandler,
        default_handler_args=shared,
        template_path=str(Path(__file__).parent / "templates"),
        log_function=log_request,
        xsrf_cookies=True,
        xsrf_cookie_name=XSRF_COOKIE,
        xsrf_cookie_kwargs=XSRF_ATTRIBUTES,
        cross_origin_protection=True,
        websocket_max_message_size=MAX_FRAME,
        websocket_ping_interval=PING_SECONDS,
        websocket_ping_timeout=PING_SECONDS,
    )


def make_server(application: Application) -> HTTPServer:
    # No uploads: the parser of multipart bodies is switched off, and forms have few fields.
    # Tornado 6.6 has this setting for the whole process only.
    httputil.set_parse_body_config(
        httputil.ParseBodyConfig(
            multipart=httputil.ParseMultipartConfig(enabled=False),
            urlencoded=httputil.ParseUrlEncodedConfig(max_arguments=20),
        )
    )
    return HTTPServer(
        application,
        max_body_size=MAX_BODY,
        max_header_size=MAX_HEADERS,
        max_buffer_size=4 * MAX_BODY,
        idle_connection_timeout=IDLE_SECONDS,
        body_timeout=BODY_SECONDS,
    )
