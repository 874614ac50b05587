"""How close an estimated transmission is to the true one."""
