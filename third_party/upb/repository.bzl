"""The upb that the system's libgrpc links, with its headers and its generator."""

def _upb_repository_impl(repository_ctx):
    result = repository_ctx.execute(
        ["bash", str(repository_ctx.path(Label("//third_party/upb:fetch.sh"))), "."],
        timeout = 300,
    )
    if result.return_code != 0:
        fail("upb could not be fetched:\n" + result.stderr)
    repository_ctx.symlink(Label("//third_party/upb:upb.BUILD"), "BUILD")

upb_repository = repository_rule(
    implementation = _upb_repository_impl,
    doc = "Fetches upb from Debian's source package of grpc; see fetch.sh.",
)
