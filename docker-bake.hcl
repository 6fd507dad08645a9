# Images of a release: docker buildx bake -f docker-bake.hcl [--print]
# (without -f docker-compose.yml is read as well)

variable "VERSION" {
  default = "0.1.0"
}

variable "REVISION" {
  default = "unknown"
}

# Where the images are pushed to, with a slash at the end.
variable "REGISTRY" {
  default = ""
}

group "default" {
  targets = ["hbbs", "hbbr"]
}

# Of both architectures; what is built for this machine alone is `docker compose build`.
target "base" {
  context   = "."
  platforms = ["linux/amd64", "linux/arm64"]
  args = {
    VERSION  = VERSION
    REVISION = REVISION
  }
}

target "hbbs" {
  inherits   = ["base"]
  dockerfile = "Dockerfile.hbbs"
  tags       = ["${REGISTRY}tryst/hbbs:${VERSION}", "${REGISTRY}tryst/hbbs:latest"]
}

target "hbbr" {
  inherits   = ["base"]
  dockerfile = "Dockerfile.hbbr"
  tags       = ["${REGISTRY}tryst/hbbr:${VERSION}", "${REGISTRY}tryst/hbbr:latest"]
}
