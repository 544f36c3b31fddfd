"""How a time is printed where no template says otherwise, as in the admin panel: in full, and sortable by eye."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
