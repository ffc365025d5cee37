"""Noticeboard: rooms with live messages. The sample service, to be replaced by a team's own."""
