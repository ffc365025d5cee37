"""The process: starts, serves, and on SIGTERM or SIGINT ends what is under way before it exits."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Mapping

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from sample_app import logs
from sample_app.application import make_application, make_server, make_service
from sample_app.handlers.base import Service
from sample_app.settings import Settings, SettingsError, read_settings

log = logging.getLogger("noticeboard.server")

POLL_SECONDS = 0.02


def main(environment: Mapping[str, str]) -> int:
    """Exit code: 0 stopped as asked, 1 the address cannot be had, 2 wrong settings."""
    try:
        settings = read_settings(environment)
    except SettingsError as error:
        return _refuse(str(error), 2)
    try:
        sockets = bind_sockets(settings.port, settings.address)
    except OSError as error:
        where = f"NOTICEBOARD_ADDRESS {settings.address}, NOTICEBOARD_PORT {settings.port}"
        return _refuse(f"{where}: cannot listen ({error.strerror or error})", 1)
    logs.configure(settings.log_level)
    asyncio.run(serve(settings, sockets))
    return 0


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"noticeboard: {message}\n")
    return code


async def serve(settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve on ``sockets`` until a signal asks for the end, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = make_service(settings)
    server = make_server(make_application(service))
    server.add_sockets(sockets)
    for listening in sockets:
        address, port = listening.getsockname()[:2]
        log.info("listening", extra={"address": address, "port": port})
    await stop.wait()
    await drain(service, server, settings.drain_seconds)


async def drain(service: Service, server: HTTPServer, seconds: float) -> None:
    """Take nothing new, let requests under way end for ``seconds``, tell WebSockets to go, then close."""
    log.info("stopping")
    service.draining = True
    server.stop()
    for live in list(service.live):
        live.go_away()
    deadline = asyncio.get_running_loop().time() + seconds
    while (service.under_way or service.live) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(POLL_SECONDS)
    left = len(service.under_way) + len(service.live)
    await server.close_all_connections()
    if left:
        log.warning("stopped with %d under way", left)
    else:
        log.info("stopped")
