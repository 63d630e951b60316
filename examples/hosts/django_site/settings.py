"""The settings of a Django site with one page and no database."""

ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "examples.hosts.django_site.urls"
SECRET_KEY = "of-an-example"
