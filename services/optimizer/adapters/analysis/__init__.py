"""What libraries say of finished trials, and files of them."""
