"""The ground floor: errors, atomic files, settings, progress, time and ids. It knows no room."""
