"""``/api/rooms/ID/live``: new messages as they come, and posting over the same WebSocket.

Server to client: ``{"message": {...}}`` or ``{"error": {"code", "message"}}``.
Client to server: ``{"author": ..., "text": ...}``.
"""

import asyncio
import contextlib

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from sample_app import validation
from sample_app.handlers.base import Handler, Service
from sample_app.model import BoardError
from sample_app.services.live import Reader

GOING_AWAY, POLICY, UNSUPPORTED = 1001, 1008, 1003
"""Close codes (RFC 6455, 7.4.1)."""
MAX_MISTAKES = 5
"""Messages that are not valid before the connection is closed."""


class LiveHandler(WebSocketHandler, Handler):
    # WebSocketHandler comes first: its write methods refuse what makes no sense after the upgrade.

    def initialize(self, service: Service) -> None:
        super().initialize(service)
        self._mistakes = 0
        self._undo = contextlib.ExitStack()

    async def get(self, room_id: str) -> None:
        """Everything that can be refused is refused before the upgrade, with an HTTP status."""
        after = validation.after(self.request.query_arguments)
        await self.service.board.room(room_id)
        reader = self.service.board.subscribe(room_id)
        self._undo.callback(self.service.board.unsubscribe, room_id, reader)
        try:
            await super().get(room_id, reader, after)
        finally:
            # Also where the upgrade was refused: then neither open nor on_close runs.
            self._leave()

    def open(self, room_id: str, reader: Reader, after: int | None) -> None:
        self._room = room_id
        self.service.under_way.discard(self)
        self.service.live.add(self)
        sender = asyncio.create_task(self._send(room_id, reader, after))
        self._undo.callback(sender.cancel)

    async def on_message(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.close(UNSUPPORTED, "text messages only")
            return
        try:
            self.take_token()
            await self.service.board.post(self._room, validation.new_message(validation.json_object(message)))
        except BoardError as error:
            self._mistakes += 1
            await self._write({"error": {"code": error.code, "message": str(error)}})
            if self._mistakes >= MAX_MISTAKES:
                self.close(POLICY, "too many invalid messages")

    def on_close(self) -> None:
        self._leave()

    def go_away(self) -> None:
        """The service is stopping."""
        self.close(GOING_AWAY, "stopping")

    def _leave(self) -> None:
        self.service.live.discard(self)
        self.service.under_way.discard(self)
        self._undo.close()

    async def _send(self, room_id: str, reader: Reader, after: int | None) -> None:
        async for message in self.service.board.follow(room_id, reader, after):
            await self._write({"message": message.as_json()})
        self.close(POLICY, "reading too slowly")

    async def _write(self, value: dict[str, object]) -> None:
        # The client may leave at any moment; on_close then cleans up.
        with contextlib.suppress(WebSocketClosedError):
            await self.write_message(value)
