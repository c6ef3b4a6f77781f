"""Calls: functions of users that call something outside for each event, apart from the processing of records."""
