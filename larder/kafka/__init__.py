"""What aiokafka lacks or does differently. Knows neither tables nor Faust."""

from larder.kafka.metadata_requests import forbid_creation, pause_between_updates

forbid_creation()
pause_between_updates()
