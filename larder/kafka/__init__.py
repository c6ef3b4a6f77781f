"""What aiokafka lacks or does otherwise. Knows no table and no Faust."""

from larder.kafka.metadata_requests import forbid_creation, pause_between_updates

forbid_creation()
pause_between_updates()
