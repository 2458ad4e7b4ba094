"""The repositories that the build needs, for this workspace and for others that use its rules:

    local_repository(name = "daybook", path = "...")
    load("@daybook//third_party:repositories.bzl", "daybook_repositories")
    daybook_repositories()
    load("@daybook//sdk:defs.bzl", "daybook_c_library")    # in BUILD files

One that the workspace has declared before is left as it is. Bazel's own rules come from Debian's packages; `make setup`
installs them and everything else.
"""

load("//third_party/upb:repository.bzl", "upb_repository")

def _third_party_folder_impl(repository_ctx):
    folder = repository_ctx.path(Label("@daybook//third_party:BUILD")).dirname.get_child(repository_ctx.attr.folder)
    for entry in folder.readdir():
        repository_ctx.symlink(entry, entry.basename)

# A folder of this repository as one of its own, wherever this repository is.
_third_party_folder = repository_rule(
    implementation = _third_party_folder_impl,
    attrs = {"folder": attr.string(mandatory = True)},
    local = True,
)

def daybook_repositories():
    """Declares what the workspace does not have yet."""
    there = native.existing_rules()
    if "rules_java" not in there:
        native.local_repository(name = "rules_java", path = "/usr/share/bazel/rules/java")
    if "rules_proto" not in there:
        native.local_repository(name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    if "rules_cc" not in there:
        _third_party_folder(name = "rules_cc", folder = "rules_cc")
    if "remote_coverage_tools" not in there:
        _third_party_folder(name = "remote_coverage_tools", folder = "coverage_tools")
    if "upb" not in there:
        upb_repository(name = "upb")
    if "protobuf_protos" not in there:
        native.new_local_repository(
            name = "protobuf_protos",
            build_file = "@daybook//third_party/system_protos:protobuf.BUILD",
            path = "/usr/include",
        )
    if "grpc_protos" not in there:
        native.new_local_repository(
            name = "grpc_protos",
            build_file = "@daybook//third_party/system_protos:grpc.BUILD",
            path = "/usr/share/grpc-proto",
        )
