"""The page: works without JavaScript, except for live updates."""

from typing import Any

from sample_app import validation
from sample_app.handlers.base import Handler
from sample_app.model import BoardError, NotFound


class PageHandler(Handler):
    def get_template_namespace(self) -> dict[str, Any]:
        return super().get_template_namespace() | {"assets": self.service.assets, "limits": validation}

    def show_error(self, status: int, code: str, message: str) -> None:  # noqa: ARG002 - people read the message
        self.render("error.html", status=status, message=message)

    def form(self) -> dict[str, object]:
        validation.no_arguments(self.request.query_arguments)
        self.require_type("application/x-www-form-urlencoded")
        return validation.form(self.request.body_arguments)


class HomeHandler(PageHandler):
    """``/``: the rooms, and a form for a new one."""

    async def get(self) -> None:
        validation.no_arguments(self.request.query_arguments)
        await self._show(problem="", name="")

    async def post(self) -> None:
        form = self.form()
        try:
            room = await self.service.board.create_room(validation.new_room(form))
        except BoardError as error:
            self.set_status(error.status)
            await self._show(problem=str(error), name=str(form.get("name", "")))
        else:
            self.redirect(f"/rooms/{room.id}", status=303)

    async def _show(self, *, problem: str, name: str) -> None:
        await self.render("home.html", rooms=await self.service.board.rooms(), problem=problem, name=name)


class RoomHandler(PageHandler):
    """``/rooms/ID``: the newest messages, and a form for one more."""

    async def get(self, room_id: str) -> None:
        validation.no_arguments(self.request.query_arguments)
        await self._show(room_id, problem="", author="", text="")

    async def post(self, room_id: str) -> None:
        form = self.form()
        try:
            await self.service.board.post(room_id, validation.new_message(form))
        except NotFound:
            raise
        except BoardError as error:
            self.set_status(error.status)
            await self._show(
                room_id, problem=str(error), author=str(form.get("author", "")), text=str(form.get("text", ""))
            )
        else:
            self.redirect(f"/rooms/{room_id}", status=303)

    async def _show(self, room_id: str, *, problem: str, author: str, text: str) -> None:
        board = self.service.board
        await self.render(
            "room.html",
            room=await board.room(room_id),
            messages=await board.messages(room_id, validation.Page()),
            problem=problem,
            author=author,
            text=text,
        )


class AssetHandler(Handler):
    """``/static/VERSION/NAME``: the version makes the answer good for ever."""

    def get(self, version: str, name: str) -> None:
        asset = self.service.assets.get(name)
        if asset is None or asset.version != version:
            raise NotFound("file: not found")
        self.set_header("Content-Type", asset.content_type)
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.finish(asset.content)


class NotFoundHandler(PageHandler):
    def check_xsrf_cookie(self) -> None:
        """Nothing happens here, so a 404 is the better answer."""

    def prepare(self) -> None:
        super().prepare()
        raise NotFound("page: not found")
