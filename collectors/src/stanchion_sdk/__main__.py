"""`python -m stanchion_sdk doctor`."""

from .doctor import main

raise SystemExit(main())
