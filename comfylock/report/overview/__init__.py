"""The report of `report`: one overview, and a file for each form that it is shown in."""
