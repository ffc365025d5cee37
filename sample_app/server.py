"""The process: starts, serves, and on SIGTERM or SIGINT ends what is under way before it exits."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping

from tornado.httpserver import HTTPServer

from sample_app import logs
from sample_app.application import make_application, make_server, make_service
from sample_app.handlers.base import Service
from sample_app.settings import Settings, SettingsError, read_settings

log = logging.getLogger("noticeboard.server")

BACKLOG = 128
POLL_SECONDS = 0.02


def main(environment: Mapping[str, str]) -> int:
    """Exit code: 0 stopped as asked, 1 the address cannot be had, 2 wrong settings."""
    try:
        settings = read_settings(environment)
    except SettingsError as error:
        return _refuse(str(error), 2)
    try:
        listening = listen(settings.address, settings.port)
    except OSError as error:
        where = f"NOTICEBOARD_ADDRESS {settings.address}, NOTICEBOARD_PORT {settings.port}"
        return _refuse(f"{where}: cannot listen ({os.strerror(error.errno or 0)})", 1)
    logs.configure(settings.log_level)
    asyncio.run(serve(settings, listening))
    return 0


def listen(address: str, port: int) -> socket.socket:
    """Raises OSError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"noticeboard: {message}\n")
    return code


async def serve(settings: Settings, listening: socket.socket) -> None:
    """Serve on ``listening`` until a signal asks for the end, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = make_service(settings)
    server = make_server(make_application(service))
    server.add_socket(listening)
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
