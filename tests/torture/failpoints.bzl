"""A binary built a second time, with the failpoints of service/base/failpoint.h."""

def _transition_impl(settings, _attr):
    return {"//command_line_option:copt": settings["//command_line_option:copt"] + ["-DDAYBOOK_FAILPOINTS"]}

_failpoints = transition(
    implementation = _transition_impl,
    inputs = ["//command_line_option:copt"],
    outputs = ["//command_line_option:copt"],
)

def _with_failpoints_impl(ctx):
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = executable, target_file = ctx.executable.binary, is_executable = True)
    return [DefaultInfo(executable = executable, runfiles = ctx.runfiles(files = [executable, ctx.executable.binary]))]

with_failpoints = rule(
    implementation = _with_failpoints_impl,
    executable = True,
    attrs = {
        "binary": attr.label(executable = True, cfg = _failpoints, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
