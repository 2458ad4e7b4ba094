"""C from protos: upb messages, and gRPC clients and servers by protoc-gen-grpc-c.

In a workspace of your own, third_party/repositories.bzl says what its WORKSPACE needs; programs depend on what is made here
and on "@daybook//sdk/runtime".

    load("@daybook//sdk:defs.bzl", "daybook_c_library")

    daybook_c_library(
        name = "orders",
        srcs = ["shop/v1/orders.proto"],
        deps = ["@protobuf_protos//:well_known_types"],
    )

The folder of the BUILD file is the root of the protos' import paths: the example is imported as
"shop/v1/orders.proto", and its headers are "shop/v1/orders.upb.h" and "shop/v1/orders.grpc.h".
Nothing generated is ever committed.
"""

ProtoTreeInfo = provider(
    doc = "Protos and where their import paths begin.",
    fields = {
        "files": "depset of the .proto files, transitive",
        "roots": "depset of the --proto_path folders, transitive",
    },
)

# `copts` of messages that a shared library exports, in a build that hides names (-fvisibility=hidden).
VISIBLE = ["-fvisibility=default"]

def _root(ctx, base):
    parts = [base, ctx.label.workspace_root, ctx.label.package]
    return "/".join([part for part in parts if part]) or "."

def _generate_impl(ctx):
    source_root = _root(ctx, "")
    output_root = _root(ctx, ctx.bin_dir.path)
    files = depset(ctx.files.srcs, transitive = [dep[ProtoTreeInfo].files for dep in ctx.attr.deps])
    roots = depset([source_root], transitive = [dep[ProtoTreeInfo].roots for dep in ctx.attr.deps])

    plugins = {"upb": ctx.executable._upb}
    if ctx.attr.services:
        plugins["grpc-c"] = ctx.executable._grpc_c

    headers = []
    sources = []
    prefix_length = len(source_root) + 1 if source_root != "." else 0
    for proto in ctx.files.srcs:
        stem = proto.path[prefix_length:-len(".proto")]
        for kind in (["upb", "grpc"] if ctx.attr.services else ["upb"]):
            headers.append(ctx.actions.declare_file("%s.%s.h" % (stem, kind)))
            sources.append(ctx.actions.declare_file("%s.%s.c" % (stem, kind)))

    arguments = ctx.actions.args()
    for name, executable in plugins.items():
        arguments.add("--plugin=protoc-gen-%s=%s" % (name, executable.path))
        arguments.add("--%s_out=%s" % (name, output_root))
    arguments.add_all(roots, before_each = "--proto_path")
    arguments.add_all(ctx.files.srcs)
    ctx.actions.run(
        executable = "/usr/bin/protoc",
        arguments = [arguments],
        inputs = files,
        tools = plugins.values(),
        outputs = headers + sources,
        mnemonic = "ProtocC",
        progress_message = "Generating C from the protos of %{label}",
    )
    return [
        ProtoTreeInfo(files = files, roots = roots),
        DefaultInfo(files = depset(headers + sources)),
        OutputGroupInfo(headers = depset(headers), sources = depset(sources)),
    ]

_ATTRIBUTES = {
    "srcs": attr.label_list(allow_files = [".proto"], mandatory = True),
    "deps": attr.label_list(providers = [ProtoTreeInfo]),
    "services": attr.bool(),
    "_upb": attr.label(
        default = "@upb//:protoc-gen-upb",
        executable = True,
        cfg = "exec",
    ),
}

_generate_messages = rule(
    implementation = _generate_impl,
    attrs = _ATTRIBUTES,
)

# A rule of its own, because the generator is itself built from messages: those must not depend on it.
_generate_library = rule(
    implementation = _generate_impl,
    attrs = dict(_ATTRIBUTES, _grpc_c = attr.label(
        default = "@daybook//sdk/plugin:protoc-gen-grpc-c",
        executable = True,
        cfg = "exec",
    )),
)

def _library(name, generator, deps, runtime, copts = [], **kwargs):
    for group in ["headers", "sources"]:
        native.filegroup(
            name = "%s_%s" % (name, group),
            srcs = [generator],
            output_group = group,
            visibility = ["//visibility:private"],
        )
    native.cc_library(
        name = name,
        srcs = [":%s_sources" % name],
        hdrs = [":%s_headers" % name],
        copts = ["-w"] + copts,
        includes = ["."],
        deps = [runtime] + deps,
        **kwargs
    )

def _generated(deps):
    """The generating target that stands behind each library of `deps`."""
    return [(dep if ":" in dep else "%s:%s" % (dep, dep.split("/")[-1])) + "_generated" for dep in deps]

def daybook_c_messages(name, srcs, deps = [], **kwargs):
    """Messages alone: <stem>.upb.h and .upb.c."""
    _generate_messages(
        name = name + "_generated",
        srcs = srcs,
        services = False,
        visibility = kwargs.get("visibility"),
        deps = _generated(deps),
    )
    _library(name, ":%s_generated" % name, deps, "@upb//:upb", **kwargs)

def daybook_c_library(name, srcs, deps = [], **kwargs):
    """Messages and services: the messages' files, and <stem>.grpc.h and .grpc.c."""
    _generate_library(
        name = name + "_generated",
        srcs = srcs,
        services = True,
        visibility = kwargs.get("visibility"),
        deps = _generated(deps),
    )
    _library(name, ":%s_generated" % name, deps, "@daybook//sdk:headers", **kwargs)
