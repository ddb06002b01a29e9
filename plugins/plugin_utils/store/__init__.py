"""What records said when they were judged, stored as it is made: everything right of the records reads it from here."""
