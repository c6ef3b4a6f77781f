"""What aiokafka lacks or does differently. Knows neither tables nor Faust."""

from larder.kafka.coordinator_lookups import wait_for_brokers
from larder.kafka.metadata_requests import forbid_creation, pause_between_updates

forbid_creation()
pause_between_updates()
wait_for_brokers()
