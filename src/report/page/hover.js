// Values under the pointer or finger at once, instead of the browser's slow tooltips; without this script those still work.
(function () {
  'use strict';
  var tip = document.getElementById('tip');
  document.querySelectorAll('.plimsoll-plot title').forEach(function (title) {
    var group = title.parentNode;
    group.setAttribute('data-tip', title.textContent);
    group.setAttribute('aria-label', title.textContent);
    title.remove();
  });
  function show(event) {
    var group = event.target.closest ? event.target.closest('[data-tip]') : null;
    if (!group) { tip.style.display = 'none'; return; }
    tip.textContent = group.getAttribute('data-tip');
    tip.style.display = 'block';
    var x = event.clientX + 14, y = event.clientY + 14;
    if (x + tip.offsetWidth > innerWidth - 8) { x = Math.max(8, event.clientX - tip.offsetWidth - 14); }
    if (y + tip.offsetHeight > innerHeight - 8) { y = Math.max(8, event.clientY - tip.offsetHeight - 14); }
    tip.style.left = x + 'px';
    tip.style.top = y + 'px';
  }
  document.addEventListener('pointermove', show);
  document.addEventListener('pointerdown', show);
  document.addEventListener('scroll', function () { tip.style.display = 'none'; }, true);
  addEventListener('beforeprint', function () {
    document.querySelectorAll('details.more').forEach(function (part) { part.open = true; });
  });
})();
