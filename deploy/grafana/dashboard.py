#!/usr/bin/env python3
"""The dashboard of twinpeak's daemons as code: dashboard.py > twinpeak.json

Made with Grafana's own grafana-foundation-sdk (tests/requirements.txt), so that what it writes is of the dashboard's
schema. tests/watch.sh holds twinpeak.json against it, and runs every query below against a real Prometheus.
"""

import itertools

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WHO = 'job="twinpeak",survey=~"$survey",instance=~"$instance"'
SURVEY = 'job="twinpeak",survey=~"$survey"'
FROM_ANYWHERE = ["Depth", "Sky"]  # whose axes need not begin at 0

# Rows of panels: (title, kind, unit, what it says, *(query, legend)). WHO and SURVEY stand for the labels above.
# Units are Grafana's: https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
PANELS = {
    "Now": [
        ("Alerts", "stat", "none", "Alerts that fire. What to do about each is in the runbook.",
         ('count(ALERTS{alertname=~"Twinpeak.+",alertstate="firing"}) or vector(0)', "firing")),
        ("Daemons", "stat", "none", "Daemons that answer Prometheus, and that should.",
         ("sum(up{WHO})", "up"), ("count(up{WHO})", "of")),
        ("Checks", "stat", "bool_yes_no", "Readiness: every check of /readyz, the worst daemon's.",
         ("min by (check) (twinpeak_check_ok{WHO})", "{{check}}")),
        ("Last frame ended", "stat", "s", "Since the last frame was published or rejected, the slowest daemon's.",
         ("max(time() - (twinpeak_last_finished_timestamp_seconds{WHO} > 0))", "ago")),
        ("Model", "stat", "none", "Bundles in force, and how many daemons have each.",
         ("count by (version, hash) (twinpeak_model_info{WHO})", "{{version}} {{hash}}")),
        ("Error budget left", "stat", "percentunit", "Of the 1% of images that may take more than 5 s in 28 days.",
         ("1 - job:twinpeak_kafka_late:ratio_increase28d{SURVEY} / 0.01", "{{survey}}")),
    ],
    "Work": [
        ("Frames", "lines", "cpm", "Frames a minute that ended, by outcome.",
         ("60 * sum by (outcome) (rate(twinpeak_frames_total{WHO}[$__rate_interval]))", "{{outcome}}"),
         ("60 * sum(rate(twinpeak_arrived_frames_total{WHO}[$__rate_interval]))", "arrived")),
        ("Rejections", "lines", "none", "Rejected frames within a quarter of an hour, by reason.",
         ("sum by (reason, stage) (increase(twinpeak_rejected_frames_total{WHO}[15m]))", "{{reason}} in {{stage}}")),
        ("Rejected fraction", "lines", "percentunit", "Of the frames of a quarter of an hour. A ticket above 5%.",
         ("job:twinpeak_rejected_frames:ratio_increase15m{SURVEY}", "{{survey}}")),
        ("Pixels", "lines", "suffix:pix/s", "Pixels a second of processed frames, all bands.",
         ("sum by (instance) (rate(twinpeak_pixels_total{WHO}[$__rate_interval]))", "{{instance}}")),
        ("Sources by class", "lines", "percentunit", "Fractions of the published sources.",
         ("sum by (class) (rate(twinpeak_sources_total{WHO}[$__rate_interval]))"
          " / ignoring (class) group_left sum(rate(twinpeak_sources_total{WHO}[$__rate_interval]))", "{{class}}")),
        ("In flight", "lines", "none", "Frames between ingest and publish, and the most that there may be.",
         ("sum by (instance) (twinpeak_permits_used_frames{WHO})", "{{instance}}"),
         ("sum by (instance) (twinpeak_permits_limit_frames{WHO})", "{{instance}} limit")),
    ],
    "Stages": [
        ("Seconds in a stage, median", "lines", "s", "Ingest is the wait for a turn.",
         ("histogram_quantile(0.5, sum by (stage, le) (rate(twinpeak_stage_seconds_bucket{WHO}[$__rate_interval])))",
          "{{stage}}")),
        ("Seconds in a stage, 95th percentile", "lines", "s", "Ingest is the wait for a turn.",
         ("histogram_quantile(0.95, sum by (stage, le) (rate(twinpeak_stage_seconds_bucket{WHO}[$__rate_interval])))",
          "{{stage}}")),
        ("Queues", "lines", "none", "Messages that wait before a stage: the stage after the longest is the bottleneck.",
         ("sum by (stage) (twinpeak_queue_depth_messages{WHO})", "{{stage}}")),
        ("Batch time", "lines", "s", "Mean seconds of a batch on a device.",
         ("sum by (stage) (rate(twinpeak_batch_seconds_sum{WHO}[$__rate_interval]))"
          " / sum by (stage) (rate(twinpeak_batch_seconds_count{WHO}[$__rate_interval]))", "{{stage}}")),
        ("Batch fill", "lines", "percentunit", "Slots of the nets' batches that held work.",
         ("sum by (stage) (rate(twinpeak_batch_slots_filled_total{WHO}[$__rate_interval]))"
          " / sum by (stage) (rate(twinpeak_batch_slots_total{WHO}[$__rate_interval]))", "{{stage}}")),
        ("Device failures", "lines", "none", "Within a quarter of an hour.",
         ("sum by (device, error_type) (increase(twinpeak_device_failures_total{WHO}[15m]))",
          "{{error_type}} {{device}}")),
    ],
    "Frame quality": [
        ("Seeing", "lines", "suffix: arcsec", "Full width at half maximum of the PSF; the last processed frame's.",
         ("avg by (band) (twinpeak_frame_fwhm_arcsec{WHO})", "{{band}}")),
        ("Depth", "lines", "suffix: mag", "Magnitude of a point source at S/N 5.",
         ("avg by (band) (twinpeak_frame_depth_5sigma_mag{WHO})", "{{band}}")),
        ("Sky", "lines", "none", "Nanomaggies a pixel.",
         ("avg by (band) (twinpeak_frame_sky_nmgy{WHO})", "{{band}}")),
        ("Noise", "lines", "none", "Of a sky pixel, nanomaggies.",
         ("avg by (band) (twinpeak_frame_sky_sigma_nmgy{WHO})", "{{band}}")),
        ("PSF", "lines", "none", "Stars that made it; a fallback PSF had to serve where it is 0.",
         ("avg by (band) (twinpeak_frame_psf_stars{WHO} * (1 - twinpeak_frame_psf_fallback{WHO}))", "{{band}}")),
        ("Shape and registration", "lines", "none", "Ellipticity of the PSF; scatter about the registration, pixels.",
         ("max by (band) (twinpeak_frame_ellipticity_ratio{WHO})", "{{band}} ellipticity"),
         ("max by (band) (twinpeak_frame_registration_residual_px{WHO})", "{{band}} residual")),
        ("Known stars: position", "lines", "suffix: arcsec", "Source minus reference catalogue, and the scatter about it.",
         ("avg by (axis) (twinpeak_frame_reference_offset_arcsec{WHO})", "{{axis}}"),
         ("avg(twinpeak_frame_reference_scatter_arcsec{WHO})", "scatter")),
        ("Known stars: zero point", "lines", "suffix: mag", "PSF magnitude minus that of the reference catalogue.",
         ("avg by (band) (twinpeak_frame_zero_point_offset_mag{WHO})", "{{band}}")),
    ],
    "Stream": [
        ("Lag", "lines", "none", "Messages that are not committed yet, by partition and in all.",
         ("sum by (partition) (twinpeak_kafka_consumer_lag_messages{WHO})", "partition {{partition}}"),
         ("job:twinpeak_kafka_consumer_lag_messages:sum{SURVEY}", "{{survey}}")),
        ("Latency", "lines", "s", "From a message to its commit.",
         *((f"histogram_quantile({fraction}, sum by (le)"
            " (rate(twinpeak_kafka_latency_seconds_bucket{WHO}[$__rate_interval])))", name)
           for fraction, name in ((0.5, "median"), (0.99, "99%")))),
        ("Late images", "lines", "percentunit", "Fraction that took more than 5 s: the objective is 1% in 28 days.",
         *((f"job:twinpeak_kafka_late:ratio_increase{window}{{SURVEY}}", f"{{{{survey}}}} in {window}")
           for window in ("5m", "1h", "6h"))),
        ("Commits", "lines", "s", "Mean seconds of a commit.",
         ("sum by (instance) (rate(twinpeak_kafka_commit_seconds_sum{WHO}[$__rate_interval]))"
          " / sum by (instance) (rate(twinpeak_kafka_commit_seconds_count{WHO}[$__rate_interval]))", "{{instance}}")),
        ("Images a commit", "lines", "none", "Above 1 where a backlog is worked off.",
         ("sum by (instance) (rate(twinpeak_kafka_committed_images_total{WHO}[$__rate_interval]))"
          " / sum by (instance) (rate(twinpeak_kafka_commits_total{WHO}[$__rate_interval]))", "{{instance}}")),
        ("Bytes", "lines", "Bps", "Taken and committed.",
         ("sum(rate(twinpeak_kafka_received_bytes_total{WHO}[$__rate_interval]))", "taken"),
         ("sum(rate(twinpeak_kafka_committed_bytes_total{WHO}[$__rate_interval]))", "committed")),
        ("Held back", "lines", "percentunit", "Share of the time in which a full pipeline paused partitions.",
         ("sum by (instance) (rate(twinpeak_kafka_paused_seconds_total{WHO}[$__rate_interval]))", "{{instance}}")),
        ("Transactions", "lines", "none", "Troubles within a quarter of an hour; each is done again.",
         ("sum(increase(twinpeak_kafka_aborts_total{WHO}[15m]))", "aborted"),
         ("sum(increase(twinpeak_kafka_rebalances_total{WHO}[15m]))", "rebalances"),
         ("sum(increase(twinpeak_kafka_fenced_total{WHO}[15m]))", "fenced")),
        ("Partitions", "lines", "none", "Whose the work is.",
         ("sum by (instance) (twinpeak_kafka_assigned_partitions{WHO})", "{{instance}}")),
        ("Broker's errors", "lines", "none", "Within a quarter of an hour, by the client's name for them.",
         ("sum by (error_type) (increase(twinpeak_kafka_errors_total{WHO}[15m]))", "{{error_type}}")),
        ("Retries", "lines", "none", "What had to be tried again within a quarter of an hour.",
         ("sum by (stage, error_type) (increase(twinpeak_retries_total{WHO}[15m]))", "{{error_type}} in {{stage}}")),
    ],
    "Process": [
        ("Memory", "lines", "bytes", "Resident.", ("process_resident_memory_bytes{WHO}", "{{instance}}")),
        ("Processor", "lines", "none", "Cores in use.",
         ("rate(process_cpu_seconds_total{WHO}[$__rate_interval])", "{{instance}}")),
        ("File descriptors", "lines", "percentunit", "In use, of those allowed.",
         ("process_open_fds{WHO} / process_max_fds{WHO}", "{{instance}}")),
        ("Threads", "lines", "none", "A fixed number, once frames flow.", ("process_threads{WHO}", "{{instance}}")),
        ("Up since", "lines", "s", "Age of the process: falls to 0 where it is started again.",
         ("time() - process_start_time_seconds{WHO}", "{{instance}}")),
        ("Room for output", "lines", "bytes", "Free on the disk that takes the output.",
         ("twinpeak_output_free_bytes{WHO}", "{{instance}}")),
    ],
    "Drift": [
        ("Distance, hour", "lines", "none", "Of an hour's frames from what the model was made for, over the "
         "threshold: above 1 it has drifted.",
         ('max by (input) (twinpeak_drift_distance{WHO,window="hour"}'
          " / on (job, survey, instance, input) group_left twinpeak_drift_threshold{WHO})", "{{input}}")),
        ("Distance, night", "lines", "none", "The same of the night's.",
         ('max by (input) (twinpeak_drift_distance{WHO,window="night"}'
          " / on (job, survey, instance, input) group_left twinpeak_drift_threshold{WHO})", "{{input}}")),
        ("Models offered", "lines", "none", "Within an hour: taken, or refused by their checks.",
         ("sum by (outcome) (increase(twinpeak_model_reloads_total{WHO}[1h]))", "{{outcome}}")),
    ],
    "Shadow": [
        ("Agreement", "lines", "percentunit", "Sources to which the candidate gives the class of the model in service.",
         ("twinpeak_shadow_agreement_ratio{WHO}", "{{instance}}")),
        ("Frames seen", "lines", "cpm", "Frames a minute that the candidate saw, and that it had no time for.",
         ("60 * sum(rate(twinpeak_shadow_frames_total{WHO}[$__rate_interval]))", "seen"),
         ("60 * sum(rate(twinpeak_shadow_skipped_frames_total{WHO}[$__rate_interval]))", "skipped")),
        ("Calibration error", "lines", "none", "The candidate's probabilities, were the model in service the truth.",
         ("twinpeak_shadow_calibration_error{WHO}", "{{instance}}")),
        ("Seconds", "lines", "s", "Each second, of all stages on the same frames.",
         ("sum by (model) (rate(twinpeak_shadow_stage_seconds_total{WHO}[$__rate_interval]))", "{{model}}")),
    ],
}


def panel(number, title, kind, unit, what, *queries):
    """One panel. A stat shows what is, lines show what was."""
    made = stat.Panel() if kind == "stat" else timeseries.Panel()
    made.id(number).title(title).description(what).unit(unit).datasource(SOURCE)
    if kind == "stat":
        made.height(5).span(4).text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)
        made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        made.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color("text"))
    else:
        made.height(8).span(8).fill_opacity(5)
        made.legend(common.VizLegendOptions().show_legend(True).placement(kinds.LegendPlacement.BOTTOM))
        made.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI))
        if title not in FROM_ANYWHERE:
            made.min(0)
    for place, (query, legend) in enumerate(queries):
        query = query.replace("WHO", WHO).replace("SURVEY", SURVEY)
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + place))
        made.with_target(target.instant() if kind == "stat" else target.range())
    return made


def variable(name, label, query):
    """A choice of a label's values, none by default: all."""
    made = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    made = made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True).all_value(".*")
    return made.current(models.VariableOption(text="All", value="$__all"))


def build():
    """The dashboard."""
    made = dashboard.Dashboard("Twinpeak").uid("twinpeak").tags(["twinpeak"]).readonly()
    made.time("now-6h", "now").refresh("30s").timezone("utc").tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    made.with_variable(variable("survey", "Survey", 'label_values(up{job="twinpeak"}, survey)'))
    made.with_variable(variable("instance", "Daemon", f'label_values(up{{{SURVEY}}}, instance)'))
    fired = dashboard.AnnotationQuery().name("Alerts").datasource(SOURCE).enable(True).icon_color("red")
    made.annotation(fired.expr('ALERTS{alertname=~"Twinpeak.+",alertstate="firing",severity="page"}'))
    number = itertools.count(1)
    for title, panels in PANELS.items():
        made.with_row(dashboard.Row(title).id(next(number)))
        for one in panels:
            made.with_panel(panel(next(number), *one))
    return made.build()


if __name__ == "__main__":
    print(JSONEncoder(sort_keys=True, indent=1).encode(build()))
