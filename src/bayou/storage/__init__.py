"""Files that appear complete or not at all, and locks between processes that write them."""
