"""Consuming, joining, publishing: what runs a service. Only here, and in app, are Faust and aiokafka known."""

from larder.kafka.metadata_requests import forbid_creation, pause_between_updates

forbid_creation()
pause_between_updates()
