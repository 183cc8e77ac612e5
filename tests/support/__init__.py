"""What tests share: none of them imports another."""
