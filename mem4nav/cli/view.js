// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Draws Gaussians as ellipses, sorted from far to near and blended (EWA splatting, Zwicker et al. 2002), and the way.
"use strict";

const SPLAT_VERTEX = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D records; uniform mat4 view; uniform vec2 focal, size; uniform float grow;
in vec2 corner; in uint index;
out vec2 offset; out vec4 colour;
mat3 turn(vec4 q) {
  return mat3(1.0 - 2.0 * (q.y * q.y + q.z * q.z), 2.0 * (q.x * q.y + q.w * q.z), 2.0 * (q.x * q.z - q.w * q.y),
              2.0 * (q.x * q.y - q.w * q.z), 1.0 - 2.0 * (q.x * q.x + q.z * q.z), 2.0 * (q.y * q.z + q.w * q.x),
              2.0 * (q.x * q.z + q.w * q.y), 2.0 * (q.y * q.z - q.w * q.x), 1.0 - 2.0 * (q.x * q.x + q.y * q.y));
}
void main() {
  ivec2 at = ivec2(2 * int(index & 1023u), int(index >> 10));
  uvec4 a = texelFetch(records, at, 0), b = texelFetch(records, at + ivec2(1, 0), 0);
  vec3 m = (view * vec4(uintBitsToFloat(a.xyz), 1.0)).xyz;
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  offset = vec2(0.0); colour = vec4(0.0);
  if (m.z < 0.05) return;
  vec4 q = normalize(vec4(unpackSnorm2x16(b.x), unpackSnorm2x16(b.y)));
  vec3 s = vec3(unpackHalf2x16(b.z), unpackHalf2x16(b.w).x) * grow;
  mat3 R = turn(q);
  mat3 axes = mat3(view) * mat3(R[0] * s.x, R[1] * s.y, R[2] * s.z);
  vec2 reach = 0.65 * size / focal, t = clamp(m.xy / m.z, -reach, reach);
  vec3 depth = vec3(axes[0].z, axes[1].z, axes[2].z);
  vec3 u = focal.x / m.z * (vec3(axes[0].x, axes[1].x, axes[2].x) - t.x * depth);
  vec3 v = focal.y / m.z * (vec3(axes[0].y, axes[1].y, axes[2].y) - t.y * depth);
  float c = dot(u, v), d = dot(u, u) + 0.3, e = dot(v, v) + 0.3;
  float middle = 0.5 * (d + e), radius = length(vec2(0.5 * (d - e), c));
  float larger = min(middle + radius, 1.0e6), smaller = max(middle - radius, 0.1);
  vec2 first = radius < 1.0e-6 ? vec2(1.0, 0.0) : normalize(d >= e ? vec2(0.5 * (d - e) + radius, c) : vec2(c, 0.5 * (e - d) + radius));
  colour = vec4(uvec4(a.w, a.w >> 8, a.w >> 16, a.w >> 24) & 255u) / 255.0;
  float sigmas = sqrt(max(2.0 * log(255.0 * colour.a), 0.0));
  offset = corner * sigmas;
  vec2 px = offset.x * sqrt(larger) * first + offset.y * sqrt(smaller) * vec2(-first.y, first.x);
  gl_Position = vec4(vec2(2.0, -2.0) * (focal * m.xy / m.z + px) / size, 0.0, 1.0);
}`;

const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
in vec2 offset; in vec4 colour; out vec4 light;
void main() {
  float alpha = min(0.99, colour.a * exp(-0.5 * dot(offset, offset)));
  if (alpha < 1.0 / 255.0) discard;
  light = vec4(colour.rgb * alpha, alpha);
}`;

const WAY_VERTEX = `#version 300 es
precision highp float;
uniform mat4 view; uniform vec2 focal, size; uniform float width;
in vec2 corner; in vec3 start, end;
out float across;
void main() {
  vec3 a = (view * vec4(start, 1.0)).xyz, b = (view * vec4(end, 1.0)).xyz;
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0); across = corner.y;
  if (max(a.z, b.z) < 0.05) return;
  if (a.z < 0.05) a = mix(b, a, (b.z - 0.05) / (b.z - a.z));
  if (b.z < 0.05) b = mix(a, b, (a.z - 0.05) / (a.z - b.z));
  vec2 p = focal * a.xy / a.z, q = focal * b.xy / b.z, along = q - p;
  along = length(along) > 1.0e-3 ? normalize(along) : vec2(1.0, 0.0);
  vec2 px = (corner.x < 0.0 ? p : q) + width * (vec2(-along.y, along.x) * corner.y + along * corner.x * 0.5);
  gl_Position = vec4(vec2(2.0, -2.0) * px / size, 0.0, 1.0);
}`;

const WAY_FRAGMENT = `#version 300 es
precision highp float;
in float across; out vec4 light;
void main() {
  float edge = fwidth(across), core = 1.0 - smoothstep(0.6 - edge, 0.6, abs(across));
  float alpha = 1.0 - smoothstep(1.0 - edge, 1.0, abs(across));
  light = vec4(mix(vec3(1.0), vec3(0.84, 0.27, 0.18), core) * alpha, alpha);
}`;

const facts = JSON.parse(document.getElementById("facts").textContent);
const canvas = document.querySelector("canvas");
const gl = canvas.getContext("webgl2", { antialias: false, alpha: false });

function bytesOf(id) {
  const text = atob(document.getElementById(id).textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

function programOf(vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

function attribute(program, name, buffer, size, stride, start, perInstance) {
  const place = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  if (name === "index") gl.vertexAttribIPointer(place, 1, gl.UNSIGNED_INT, 0, 0);
  else gl.vertexAttribPointer(place, size, gl.FLOAT, false, stride, start);
  gl.vertexAttribDivisor(place, perInstance ? 1 : 0);
}

function filled(data) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  return buffer;
}

class Splats {
  constructor(data) {
    this.floats = new Float32Array(data);
    this.count = this.floats.length / 8;
    this.order = new Uint32Array(this.count);
    this.bins = new Uint16Array(this.count);
    this.shown = 0;
    const rows = Math.max(1, Math.ceil(this.count / 1024)), padded = new Uint32Array(rows * 8192);
    padded.set(new Uint32Array(data));
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32UI, 2048, rows, 0, gl.RGBA_INTEGER, gl.UNSIGNED_INT, padded);
    this.program = programOf(SPLAT_VERTEX, SPLAT_FRAGMENT);
    this.arrays = gl.createVertexArray();
    gl.bindVertexArray(this.arrays);
    attribute(this.program, "corner", filled(new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1])), 2, 0, 0, false);
    this.indices = filled(this.order);
    attribute(this.program, "index", this.indices, 1, 0, 0, true);
  }

  // A counting sort by depth, farthest first; gaussians come before planes in the records.
  sort(m, gaussians, planes) {
    const from = gaussians ? 0 : facts.gaussians, to = planes ? this.count : facts.gaussians, f = this.floats;
    const depth = (i) => m[2] * f[8 * i] + m[6] * f[8 * i + 1] + m[10] * f[8 * i + 2] + m[14];
    let low = Infinity, high = 0.05;
    for (let i = from; i < to; i++) {
      const z = depth(i);
      if (z > 0.05) { low = Math.min(low, z); high = Math.max(high, z); }
    }
    const starts = new Uint32Array(65537), scale = 65534 / Math.log(high / low + 1e-9 || 1);
    for (let i = from; i < to; i++) {
      const z = depth(i);
      this.bins[i] = z > 0.05 ? 65534 - Math.min(65534, Math.max(0, scale * Math.log(z / low))) : 65535;
      starts[this.bins[i] + 1]++;
    }
    for (let k = 1; k <= 65536; k++) starts[k] += starts[k - 1];
    this.shown = starts[65535];
    for (let i = from; i < to; i++) this.order[starts[this.bins[i]]++] = i;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.indices);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.order);
  }
}

class Way {
  constructor(points) {
    this.segments = Math.max(0, points.length / 3 - 1);
    this.program = programOf(WAY_VERTEX, WAY_FRAGMENT);
    this.arrays = gl.createVertexArray();
    gl.bindVertexArray(this.arrays);
    attribute(this.program, "corner", filled(new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1])), 2, 0, 0, false);
    const buffer = filled(points.length ? points : new Float32Array(6));
    attribute(this.program, "start", buffer, 3, 12, 0, true);
    attribute(this.program, "end", buffer, 3, 12, 12, true);
  }
}

const home = { target: [0, 0, 0], distance: facts.radius_m, yaw: -2.2, pitch: 0.7 };
let eye = structuredClone(home), dirty = true, sorted = "", splats, way;

// Rows: right, down, forward of the camera; column-major for WebGL.
function viewMatrix() {
  const [cy, sy, cp, sp] = [Math.cos(eye.yaw), Math.sin(eye.yaw), Math.cos(eye.pitch), Math.sin(eye.pitch)];
  const rows = [[-sy, cy, 0], [sp * cy, sp * sy, -cp], [-cp * cy, -cp * sy, -sp]];
  const at = eye.target.map((t, k) => t - eye.distance * rows[2][k]);
  const shift = rows.map((r) => -(r[0] * at[0] + r[1] * at[1] + r[2] * at[2]));
  return new Float32Array([...[0, 1, 2].flatMap((k) => [rows[0][k], rows[1][k], rows[2][k], 0]), ...shift, 1]);
}

function drawn(thing, matrix, focal, more) {
  gl.useProgram(thing.program);
  gl.bindVertexArray(thing.arrays);
  gl.uniformMatrix4fv(gl.getUniformLocation(thing.program, "view"), false, matrix);
  gl.uniform2f(gl.getUniformLocation(thing.program, "focal"), focal, focal);
  gl.uniform2f(gl.getUniformLocation(thing.program, "size"), canvas.width, canvas.height);
  for (const [name, value] of Object.entries(more)) gl.uniform1f(gl.getUniformLocation(thing.program, name), value);
}

function frame() {
  requestAnimationFrame(frame);
  const ratio = Math.min(2, window.devicePixelRatio || 1), box = canvas.getBoundingClientRect();
  const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
  if (!dirty && canvas.width === width && canvas.height === height) return;
  [canvas.width, canvas.height, dirty] = [width, height, false];
  const matrix = viewMatrix(), on = (id) => document.getElementById(id).checked, focal = 1.1 * Math.max(width, height) / 2;
  const now = [...matrix, on("gaussians"), on("planes")].join();
  if (now !== sorted) splats.sort(matrix, on("gaussians"), on("planes"));
  sorted = now;
  gl.viewport(0, 0, width, height);
  gl.clearColor(0.98, 0.98, 0.976, 1);
  gl.clear(gl.COLOR_BUFFER_BIT);
  drawn(splats, matrix, focal, { grow: Number(document.getElementById("grow").value) });
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, splats.shown);
  if (!on("way") || !way.segments) return;
  drawn(way, matrix, focal, { width: 3 * ratio });
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, way.segments);
}

function pan(dx, dy) {
  const m = viewMatrix(), step = eye.distance / (0.55 * Math.max(canvas.clientWidth, canvas.clientHeight));
  eye.target = eye.target.map((t, k) => t - step * (dx * m[4 * k] + dy * m[4 * k + 1]));
}

function orbit(dx, dy) {
  eye.yaw -= 0.006 * dx;
  eye.pitch = Math.min(1.57, Math.max(-1.57, eye.pitch + 0.006 * dy));
}

const zoom = (factor) => { eye.distance = Math.min(1e5, Math.max(0.2, eye.distance * factor)); };

function listen() {
  const fingers = new Map(), moved = () => { dirty = true; };
  const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); fingers.set(e.pointerId, e); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => fingers.delete(e.pointerId));
  canvas.addEventListener("pointermove", (e) => {
    const last = fingers.get(e.pointerId);
    if (!last) return;
    const before = fingers.size === 2 ? spread() : 0, [dx, dy] = [e.x - last.x, e.y - last.y];
    fingers.set(e.pointerId, e);
    if (before) { zoom(before / Math.max(1, spread())); pan(dx / 2, dy / 2); }
    else if (e.shiftKey || e.ctrlKey || e.buttons & 6) pan(dx, dy);
    else orbit(dx, dy);
    moved();
  });
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(0.001 * e.deltaY)); moved(); }, { passive: false });
  canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  window.addEventListener("keydown", (e) => { if (e.key === "r") { eye = structuredClone(home); moved(); } });
  for (const input of document.querySelectorAll("input")) input.addEventListener("input", moved);
}

if (!gl) document.getElementById("trouble").textContent = "This browser has no WebGL 2, which the view needs.";
else {
  splats = new Splats(bytesOf("splats"));
  way = new Way(new Float32Array(bytesOf("path")));
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  listen();
  frame();
}
