"""What comes in and goes out: labels, checked tables, the workbook, bundled data, export."""
