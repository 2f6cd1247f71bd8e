"""AWS as far as sending mail needs it: SES of our own (versions 1 and 2), IAM, STS and CloudWatch of moto, and a DNS server."""
