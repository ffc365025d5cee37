"""The JSON API."""

from sample_app import validation
from sample_app.handlers.base import Handler
from sample_app.model import NotFound


class ApiHandler(Handler):
    def check_xsrf_cookie(self) -> None:
        """Not needed: no cookie gives any right here, and a JSON body makes browsers ask first (CORS)."""

    def json_body(self) -> dict[str, object]:
        self.require_type("application/json")
        return validation.json_object(self.request.body)


class RoomsHandler(ApiHandler):
    """``/api/rooms``."""

    async def get(self) -> None:
        validation.no_arguments(self.request.query_arguments)
        rooms = await self.service.board.rooms()
        await self.finish({"rooms": [room.as_json() for room in rooms]})

    async def post(self) -> None:
        validation.no_arguments(self.request.query_arguments)
        room = await self.service.board.create_room(validation.new_room(self.json_body()))
        self.set_status(201)
        self.set_header("Location", f"/api/rooms/{room.id}/messages")
        await self.finish(room.as_json())


class MessagesHandler(ApiHandler):
    """``/api/rooms/ID/messages``."""

    async def get(self, room_id: str) -> None:
        page = validation.page(self.request.query_arguments)
        messages = await self.service.board.messages(room_id, page)
        await self.finish({"messages": [message.as_json() for message in messages]})

    async def post(self, room_id: str) -> None:
        validation.no_arguments(self.request.query_arguments)
        message = await self.service.board.post(room_id, validation.new_message(self.json_body()))
        self.set_status(201)
        await self.finish(message.as_json())


class ApiNotFoundHandler(ApiHandler):
    def prepare(self) -> None:
        super().prepare()
        raise NotFound("address: not found")
